// Stands behind README.md's code in one file: follows, and answers each line of its input, which may be an event and its
// data, with what it keeps.
// It ends when its input has ended and nothing of README.md's code waits any more.
import { createInterface } from "node:readline";

const [base, token] = process.argv.slice(2);
const [state, chats, messages, events] = [{}, new Map(), new Map(), []];
run(base, token, state, (event, data) => {
  events.push(event);
  keep(chats, messages, event, data);
});
for await (const line of createInterface({ input: process.stdin })) {
  if (line) keep(chats, messages, ...JSON.parse(line));
  console.log(JSON.stringify({ state, events, chats: [...chats.values()], messages: [...messages.values()] }));
}
