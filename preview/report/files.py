"""The files of a preview."""

from pathlib import Path

from preview.report import html, markdown
from preview.report.review import Review


def write(review: Review, folder: Path, limit: int = markdown.LIMIT) -> dict[str, Path]:
    """Write plan and reports; returns where they are, by what they are.

    Args:
        limit: characters of ``report.md``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "plan": folder / "plan.json",
        "markdown": folder / "report.md",
        "html": folder / "report.html",
    }
    files["plan"].write_text(review.plan.to_json())
    files["markdown"].write_text(markdown.render(review, limit))
    files["html"].write_text(html.render(review))
    return files
