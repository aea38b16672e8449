// Asks the service by LangGraph's own JavaScript SDK, and as CopilotKit does; prints what came back.
import { Client } from "@langchain/langgraph-sdk";
import { LangGraphAgent } from "@ag-ui/langgraph";

const [url, key] = process.argv.slice(2);
const client = new Client({ apiUrl: url, apiKey: key });
const came = {};

const thread = await client.threads.create({ metadata: { from: "javascript" } });
came.values = await client.runs.wait(thread.thread_id, "steps", { input: { tag: "js" } });
came.updates = [];
const asked = { input: { tag: "js" }, streamMode: ["updates", "values"] };
for await (const part of client.runs.stream(thread.thread_id, "steps", asked)) {
  if (part.event === "updates") came.updates.push(Object.keys(part.data)[0]);
}
came.found = (await client.threads.search({ metadata: { from: "javascript" } })).map((found) => found.thread_id);
came.thread = thread.thread_id;

const waiting = await client.threads.create();
came.question = await client.runs.wait(waiting.thread_id, "ask", { input: {} });
came.answered = await client.runs.wait(waiting.thread_id, "ask", { command: { resume: "yes" } });

await client.store.putItem(["javascript"], "k", { a: 1 });
came.item = (await client.store.getItem(["javascript"], "k")).value;

const cron = await client.crons.create("steps", { schedule: "0 9 * * *", input: {} });
came.cron = cron.schedule;
await client.crons.delete(cron.cron_id);

const agent = new LangGraphAgent({ deploymentUrl: url, graphId: "agent", client });
agent.setMessages([{ id: "1", role: "user", content: "What is 6 * 7?" }]);
came.copilot = { events: [], text: "" };
await agent.runAgent({ runId: "run" }, {
  onEvent({ event }) {
    came.copilot.events.push(event.type);
    if (event.type === "TEXT_MESSAGE_CONTENT") came.copilot.text += event.delta;
  },
});

console.log(JSON.stringify(came));
