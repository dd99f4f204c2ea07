// A phase as a dot and a word; what is on its way moves.

import type { Phase } from "#sdk/client.ts";
import { isMoving } from "./actions.ts";
import css from "./phase.module.css";

const TONES: Readonly<Record<Phase, string>> = {
  running: "good",
  paused: "rest",
  stopped: "off",
  failed: "bad",
  deleted: "off",
  creating: "going",
  starting: "going",
  resuming: "going",
  pausing: "going",
  stopping: "going",
  deleting: "going",
};

export function PhaseDot({ phase }: { readonly phase: Phase }) {
  return <span className={css.dot} data-tone={TONES[phase]} data-moving={isMoving(phase)} />;
}

export function PhaseLabel({ phase }: { readonly phase: Phase }) {
  return (
    <span className={css.label} data-tone={TONES[phase]}>
      <PhaseDot phase={phase} />
      {phase}
    </span>
  );
}
