// Branded ids with visible prefixes: a box id cannot be passed where a node id is meant.

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

export type OrgId = Id<"org">;
export type UserId = Id<"usr">;
export type BoxId = Id<"box">;
export type TemplateId = Id<"tpl">;
export type TemplateVersionId = Id<"tv">;
export type SnapshotId = Id<"snap">;
export type VolumeId = Id<"vol">;
export type NodeId = Id<"node">;
export type OperationId = Id<"op">;
export type SshKeyId = Id<"key">;
export type PreviewId = Id<"prv">;
export type PreviewLinkId = Id<"lnk">;
export type TeamId = Id<"team">;
export type GrantId = Id<"gr">;
export type InvitationId = Id<"inv">;
export type ProviderId = Id<"idp">;
export type BudgetId = Id<"bud">;

export const ID_PREFIX = {
  org: "org",
  user: "usr",
  box: "box",
  template: "tpl",
  templateVersion: "tv",
  snapshot: "snap",
  volume: "vol",
  node: "node",
  operation: "op",
  token: "tok",
  sshKey: "key",
  preview: "prv",
  previewLink: "lnk",
  webSession: "web",
  team: "team",
  grant: "gr",
  invitation: "inv",
  provider: "idp",
  identity: "idn",
  scimToken: "sct",
  scimUser: "scu",
  scimGroup: "scg",
  budget: "bud",
} as const;

/** What every id looks like: a prefix and 20 characters of base 32 (100 bits). */
export const ID_PATTERN = /^[a-z]{2,4}_[0-9a-hjkmnp-tv-z]{20}$/;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** Makes an id of 20 random characters; `random` fills the given bytes (node:crypto outside). */
export function makeId<T extends string>(prefix: string, random: (bytes: Uint8Array) => void): T {
  const bytes = new Uint8Array(20);
  random(bytes);
  let text = "";
  for (const byte of bytes) text += ALPHABET[byte & 31];
  return `${prefix}_${text}` as T;
}
