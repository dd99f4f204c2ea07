// Resources that the SDK has no name for of its own.

import type { components } from "#gen/api-types.ts";

export type SshKey = components["schemas"]["SshKey"];
export type Token = components["schemas"]["Token"];
export type Preview = components["schemas"]["Preview"];
