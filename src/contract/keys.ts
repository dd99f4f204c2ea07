// SSH keys that a user has registered: they open the gateway's SSH door, and the boxes that the user owns.

import { z } from "zod";
import { publicKeyField } from "./access.ts";
import { idSchema, line, pageOf, pageQuery, refSchema, timeSchema } from "./fields.ts";
import { madeWithSchema } from "./tokens.ts";

export const sshKeySchema = z
  .object({
    id: idSchema("key"),
    name: z.string(),
    type: z.string().describe("`ssh-ed25519`, …"),
    publicKey: z.string(),
    fingerprint: z.string().describe("SHA256:…, as `ssh-keygen -l` prints it."),
    createdAt: timeSchema,
    expiresAt: timeSchema
      .nullable()
      .describe("With the token that it was made with; null: never by itself."),
    madeWith: madeWithSchema,
  })
  .meta({ id: "SshKey" });
export type SshKey = z.infer<typeof sshKeySchema>;

export const sshKeyPage = pageOf(sshKeySchema, "SshKeyPage");
export const sshKeyQuery = z.strictObject(pageQuery);
export const sshKeyParams = z.strictObject({ key: refSchema("key") });

export const createSshKeySchema = z
  .strictObject({
    name: line(80).min(1).describe("What to call it; shown in lists."),
    publicKey: publicKeyField,
  })
  .meta({ id: "CreateSshKey" });
