// Asks the service what agent-chat-ui asks, in its order, by the SDK under its `useStream`; prints what came back.
import { Client } from "@langchain/langgraph-sdk";

const [url, key] = process.argv.slice(2);
const client = new Client({ apiUrl: url, apiKey: key });
const came = {};

// Whether there is a server, before anything else.
const info = await fetch(`${url}/info`, { headers: { "X-Api-Key": key } });
came.info = info.ok;

// A question: the thread is made first, with what the sidebar searches for later.
const streaming = { streamMode: ["values", "messages-tuple", "custom"], streamSubgraphs: true, streamResumable: true };
async function submit(threadId, input, more = {}) {
  let last;
  let run;
  const asked = { input, ...streaming, onDisconnect: "continue", onRunCreated: (made) => { run = made; }, ...more };
  for await (const part of client.runs.stream(threadId, "agent", asked)) {
    if (part.event === "error") throw new Error(JSON.stringify(part.data));
    if (part.event === "values") last = part.data;
  }
  return { last, run };
}

const { thread_id: thread } = await client.threads.create();
const human = (id, text) => ({ id, type: "human", content: text });
const first = await submit(thread, { messages: [human("q1", "What is 6 * 7?")], context: undefined });
came.answer = first.last.messages.at(-1).content;
came.run = first.run.thread_id === thread;

// Who reloads the page reads along on the run, from its first event.
came.again = [];
for await (const part of client.runs.joinStream(thread, first.run.run_id, { lastEventId: "-1" })) came.again.push(part.event);

// The sidebar, by the name of the graph or by the id of its assistant.
const [assistant] = await client.assistants.search({ graphId: "agent", limit: 1 });
for (const metadata of [{ graph_id: "agent" }, { assistant_id: assistant.assistant_id }]) {
  const found = await client.threads.search({ metadata, limit: 100 });
  (came.sidebar ??= []).push(found.some((each) => each.thread_id === thread && each.values.messages.length === 4));
}

// The history, from which an edited question branches off.
const history = await client.threads.getHistory(thread, { limit: 1000 });
const seen = history.findLast((state) => (state.values.messages ?? []).some((message) => message.id === "q1"));
const edited = await submit(thread, { messages: [human("q2", "What is 2 * 3?")] }, { checkpoint: seen.parent_checkpoint });
came.edited = edited.last.messages.map((message) => message.content).filter(Boolean);
const regenerated = await submit(thread, undefined, { checkpoint: seen.checkpoint });
came.regenerated = regenerated.last.messages.at(-1).content;

// An approval, as the inbox gives it; and a thread that is marked as resolved.
for (const [name, command] of Object.entries({
  approved: { resume: { decisions: [{ type: "approve" }] } },
  resolved: { goto: "__end__" },
})) {
  const { thread_id: waiting } = await client.threads.create();
  const asked = await submit(waiting, { messages: [human("q3", "Please remember that it rains")] });
  came.asked = asked.last.__interrupt__[0].value.action_requests[0].name;
  const { last } = await submit(waiting, {}, { command });
  const state = await client.threads.getState(waiting);
  came[name] = { next: state.next, notes: last?.notes ?? state.values.notes };
}

console.log(JSON.stringify(came));
