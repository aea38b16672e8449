// Asks from a page of another origin what LangGraph Studio asks, in its order; the title tells what came back.
const { url, headers } = window.given;

async function ask(method, path, body) {
  const answer = await fetch(url + path, {
    method,
    headers: { ...headers, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

// The events of a run, each with its name and data.
async function stream(thread, body) {
  const answer = await fetch(`${url}/threads/${thread}/runs/stream`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({
      stream_mode: ["debug", "messages", "values", "updates", "custom"],
      stream_subgraphs: true,
      stream_resumable: true,
      multitask_strategy: "rollback",
      on_disconnect: "cancel",
      ...body,
    }),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  const events = (await answer.text()).split(/\r?\n\r?\n/).filter((event) => event.startsWith("event: ")).map((event) => {
    const [name, ...rest] = event.split(/\r?\n/);
    const data = rest.find((line) => line.startsWith("data: "));
    return { event: name.slice(7), data: data ? JSON.parse(data.slice(6)) : null };
  });
  // What a browser lets a page of another origin see.
  return { events, location: answer.headers.get("content-location") };
}

const done = (events) => events.filter(({ event }) => event === "values").at(-1).data.done;

async function studio() {
  const came = {};

  // The connection: whether there is a server, what it holds, and how its graph looks.
  came.info = Object.keys(await ask("GET", "/info")).includes("version");
  const assistants = await ask("POST", "/assistants/search", { limit: 100, offset: 0 });
  came.graphs = assistants.map((assistant) => assistant.graph_id).sort();
  const id = assistants.find((assistant) => assistant.graph_id === "steps").assistant_id;
  const drawn = await ask("GET", `/assistants/${id}/graph?xray=true`);
  came.nodes = drawn.nodes.map((node) => node.id);
  came.edges = drawn.edges.length;
  came.schemas = Object.keys((await ask("GET", `/assistants/${id}/schemas`)).state_schema.properties);
  came.subgraphs = await ask("GET", `/assistants/${id}/subgraphs?recurse=true`);

  // A run of a new thread, to a breakpoint and on from it.
  const { thread_id: thread } = await ask("POST", "/threads", {});
  const asked = { assistant_id: id, input: { done: [] }, interrupt_before: ["three"] };
  const stopped = await stream(thread, asked);
  // `end` is this service's own: it tells the end of a run from that of a connection.
  came.names = [...new Set(stopped.events.map(({ event }) => event))].filter((name) => name !== "end").sort();
  came.location = /^\/threads\/.*\/runs\//.test(stopped.location ?? "");
  came.before = done(stopped.events);
  const state = await ask("GET", `/threads/${thread}/state?subgraphs=true`);
  came.next = state.next;
  came.thread = (await ask("GET", `/threads/${thread}`)).status;
  came.after = done((await stream(thread, { assistant_id: id, input: null })).events);

  // The history, an edited state, and a fork from it.
  const history = await ask("POST", `/threads/${thread}/history`, { limit: 100 });
  came.history = history.map(({ next }) => next.join());
  const edited = await ask("POST", `/threads/${thread}/state`, {
    values: { done: ["edited"] },
    checkpoint: history.find(({ next }) => next.join() === "three").checkpoint,
    as_node: "two",
  });
  came.forked = done((await stream(thread, { assistant_id: id, input: null, checkpoint: edited.checkpoint })).events);

  // A question, and its answer; a run that is stopped by its reader.
  const questions = assistants.find((assistant) => assistant.graph_id === "ask").assistant_id;
  const { thread_id: asking } = await ask("POST", "/threads", {});
  const question = await stream(asking, { assistant_id: questions, input: {} });
  came.question = question.events.filter(({ event }) => event === "values").at(-1).data.__interrupt__[0].value;
  const answered = await stream(asking, { assistant_id: questions, command: { resume: "yes" } });
  came.answered = done(answered.events);
  const run = await ask("POST", `/threads/${thread}/runs`, { assistant_id: id, input: { seconds: 30 } });
  await ask("POST", `/threads/${thread}/runs/${run.run_id}/cancel?wait=true&action=interrupt`);
  came.stopped = (await ask("GET", `/threads/${thread}/runs/${run.run_id}`)).status;

  // What the sidebar lists, an assistant with settings of its own in two versions, memories, and tidying up.
  const found = await ask("POST", "/threads/search", { limit: 50, offset: 0, sort_by: "updated_at", sort_order: "desc" });
  came.found = found.slice(0, 2).map((each) => each.thread_id).sort().join() === [thread, asking].sort().join();
  const made = await ask("POST", "/assistants", { graph_id: "steps", name: "Mine", config: { configurable: { a: 1 } } });
  await ask("PATCH", `/assistants/${made.assistant_id}`, { config: { configurable: { a: 2 } } });
  const versions = await ask("POST", `/assistants/${made.assistant_id}/versions`, { limit: 10, offset: 0 });
  came.versions = versions.map((each) => each.config.configurable.a);
  await ask("POST", `/assistants/${made.assistant_id}/latest`, { version: 1 });
  came.latest = (await ask("GET", `/assistants/${made.assistant_id}`)).version;
  await ask("DELETE", `/assistants/${made.assistant_id}`);
  await ask("PUT", "/store/items", { namespace: ["notes"], key: "k", value: { text: "v" } });
  came.namespaces = (await ask("POST", "/store/namespaces", { limit: 10 })).namespaces;
  came.items = (await ask("POST", "/store/items/search", { namespace_prefix: ["notes"] })).items.map((item) => item.key);
  for (const each of [thread, asking]) await ask("DELETE", `/threads/${each}`);
  return came;
}

studio().then(
  (came) => { document.title = "RESULT" + JSON.stringify(came); },
  (error) => { document.title = "RESULT" + JSON.stringify({ error: String(error) }); },
);
