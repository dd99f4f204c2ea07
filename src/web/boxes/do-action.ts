// Asks for an action on one box or many, after asking back where that is due. The answer is shown at once; the rest
// comes by events.

import type { Box } from "#sdk/client.ts";
import { berth } from "../data/berth.ts";
import { live } from "../data/live.ts";
import { mayOnListed } from "../data/me.ts";
import { count } from "../format.ts";
import { confirm } from "../parts/confirm.tsx";
import { notifyDone, notifyError } from "../parts/notify.ts";
import { ACTION_WORDS, type Action, allowedActions, needsConfirmation } from "./actions.ts";

/** True when everything was accepted. */
export async function doAction(action: Action, asked: readonly Box[]): Promise<boolean> {
  const boxes = asked.filter((box) => allowedActions(box, mayOnListed(box)).includes(action));
  if (boxes.length === 0) return false;
  const names = boxes.length === 1 ? (boxes[0]?.name ?? "") : count(boxes.length, "box", "boxes");
  const words = ACTION_WORDS[action];
  if (needsConfirmation(action)) {
    const question = { title: `${words.label} ${names}?`, text: consequence(action, boxes) };
    const isDangerous = action === "delete";
    if (!(await confirm({ ...question, yes: words.label, isDangerous }))) return false;
  }
  const outcomes = await Promise.allSettled(boxes.map((box) => send(action, box)));
  const failures = outcomes.filter((outcome) => outcome.status === "rejected");
  for (const failure of failures.slice(0, 3))
    notifyError(`${words.label} did not work`, failure.reason);
  if (failures.length === 0) notifyDone(`${words.done} ${names}`);
  return failures.length === 0;
}

const MAX_NAMED = 20;

function listOf(boxes: readonly Box[]): string {
  if (boxes.length === 1) return "";
  const names = boxes.slice(0, MAX_NAMED).map((box) => box.name);
  const more = boxes.length > MAX_NAMED ? ` and ${boxes.length - MAX_NAMED} more` : "";
  return `\n\n${names.join(", ")}${more}`;
}

function consequence(action: Action, boxes: readonly Box[]): string {
  const which = boxes.length === 1 ? "The box" : "The boxes";
  const list = listOf(boxes);
  if (action === "delete")
    return `${which} and everything in it is gone for good. Checkpoints that you made stay until you delete them.${list}`;
  if (action === "restart") return `${which} boots again: programs end, files stay.${list}`;
  return `Programs end, files stay. Pausing instead would keep the programs.${list}`;
}

async function send(action: Action, box: Box): Promise<void> {
  switch (action) {
    case "delete":
      return live.put((await berth.boxes.delete(box.id)).box);
    case "fork":
      for (const { box: fork } of (await berth.boxes.fork(box.id)).forks) live.put(fork);
      return;
    case "checkpoint":
      await berth.checkpoints.create(box.id);
      return;
    default:
      return live.put((await berth.boxes[action](box.id)).box);
  }
}
