// How far a version of a template is, in a few words.

import type { TemplateVersion } from "#sdk/client.ts";
import css from "./templates.module.css";

const TONES = { ready: "good", building: "going", failed: "bad", unbuilt: "off" } as const;

export function VersionState({ version }: { readonly version: TemplateVersion }) {
  return (
    <span className={css.state} data-tone={TONES[version.state]}>
      <span className={css.dot} />v{version.version} {version.state}
      {version.state === "building" && version.step ? (
        <span className={css.step}>{version.step}</span>
      ) : null}
    </span>
  );
}
