"use strict";
(() => {
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const groups = [...document.querySelectorAll("#resources details.group")];
  const rows = [...document.querySelectorAll("#resources details.resource")];
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => row.dataset.text.includes(word));
      count += row.hidden ? 0 : 1;
    }
    for (const group of groups) {
      const any = group.querySelector("details.resource:not([hidden])");
      group.hidden = !any;
      if (words.length) group.open = Boolean(any);
    }
    found.textContent = words.length ? `${count} of ${rows.length}` : `${rows.length} resources`;
  };
  search.addEventListener("input", filter);
  filter();

  const all = (open) => groups.forEach((group) => { group.open = open; });
  document.getElementById("expand").addEventListener("click", () => all(true));
  document.getElementById("collapse").addEventListener("click", () => all(false));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      filter();
    }
  });

  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target) target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  if (location.hash) reveal();
})();
