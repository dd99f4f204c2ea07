// Templates: the declarative file that describes a development environment, and its immutable versions.

import { z } from "zod";
import {
  idSchema,
  line,
  nameSchema,
  pageOf,
  pageQuery,
  refSchema,
  text,
  timeSchema,
  versionNumber,
} from "./fields.ts";

export const sizeSchema = z
  .strictObject({
    cpus: z.number().int().min(1).max(128).default(2),
    memoryMib: z.number().int().min(256).max(1_048_576).default(2048),
    rootDiskGib: z.number().int().min(4).max(4096).default(20),
    homeDiskGib: z.number().int().min(1).max(16_384).default(10),
    gpus: z.number().int().min(0).max(16).optional().describe("Whole GPUs of the node (0)."),
  })
  .meta({ id: "Size" });

const MAX_ENV = 256;

/** Values are one line because the guest keeps them as an environment file. */
export const envSchema = z
  .record(
    z
      .string()
      .max(128)
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be a variable name"),
    line(32_768),
  )
  .refine((env) => Object.keys(env).length <= MAX_ENV, `has more than ${MAX_ENV} variables`);

const packageSchema = z
  .string()
  .max(200)
  .regex(
    /^[a-z0-9][a-z0-9+.-]+(?:=[A-Za-z0-9.+:~-]+)?$/,
    "must be a Debian package: NAME or NAME=VERSION",
  );

/** No transport that can run a command here or there (ext::, file:), and no leading hyphen. */
const repositoryUrl = line(1024).regex(
  /^(?:(?:https?|ssh|git):\/\/[^\s-]\S*|[A-Za-z0-9_.]+@[A-Za-z0-9.-]+:\S+)$/,
  "must be an https://, http://, ssh:// or git:// URL, or user@host:path",
);

const repositorySchema = z.strictObject({
  url: repositoryUrl,
  ref: line(256)
    .regex(/^(?!-)[^\s~^:?*[\\]+$/, "must be a branch, tag or commit")
    .nullable()
    .default(null)
    .describe("Branch, tag or commit; null for the default branch."),
  path: line(512)
    .regex(/^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$)).+$/, "must be a path below /home/dev")
    .nullable()
    .default(null)
    .describe("Where below /home/dev to check it out; null for the repository's name."),
});

const portSchema = z.strictObject({
  port: z.number().int().min(2).max(65_535),
  name: nameSchema.nullable().default(null),
});

const hookScript = text(65_536).nullable().default(null);

export const templateDefinitionSchema = z
  .strictObject({
    name: nameSchema,
    base: line(200).min(1).default("debian-12").describe("Base image to build on."),
    packages: z.array(packageSchema).max(500).default([]).describe("Debian packages to install."),
    setup: text(262_144)
      .nullable()
      .default(null)
      .describe("Shell script run once as dev, at build."),
    repository: repositorySchema.nullable().default(null),
    size: sizeSchema.prefault({}),
    env: envSchema.default({}),
    ports: z.array(portSchema).max(64).default([]).describe("Ports that the environment serves."),
    idle: z
      .strictObject({
        pauseAfterMinutes: z.number().int().min(1).max(525_600).nullable().default(null),
      })
      .prefault({}),
    hooks: z
      .strictObject({
        onResume: hookScript.describe("Run as dev after a pause was resumed."),
        onFork: hookScript.describe("Run as dev in a new fork, after its identity was renewed."),
      })
      .prefault({}),
  })
  .meta({ id: "TemplateDefinition" });
/** As stored: every default filled in. */
export type TemplateDefinition = z.output<typeof templateDefinitionSchema>;

export const VERSION_STATES = ["unbuilt", "building", "ready", "failed"] as const;

export const templateVersionSchema = z
  .object({
    id: idSchema("tv"),
    version: z.number().int(),
    state: z.enum(VERSION_STATES),
    step: z.string().nullable().describe("What the build is doing now."),
    error: z.string().nullable(),
    imageDigest: z.string(),
    prebuild: z
      .object({ snapshotId: idSchema("snap"), durable: z.boolean() })
      .nullable()
      .describe("The snapshot that boxes are created from; null: they boot."),
    builder: idSchema("box").nullable().describe("The box that is building it."),
    createdAt: timeSchema,
    readyAt: timeSchema.nullable(),
  })
  .meta({ id: "TemplateVersion" });
export type TemplateVersion = z.infer<typeof templateVersionSchema>;

export const templateVersionDetailSchema = templateVersionSchema
  .extend({
    definition: z.record(z.string(), z.unknown()).describe("The definition, defaults filled in."),
    log: z.string().describe("The last output of the build."),
  })
  .meta({ id: "TemplateVersionDetail" });
export type TemplateVersionDetail = z.infer<typeof templateVersionDetailSchema>;

export const templateSchema = z
  .object({
    id: idSchema("tpl"),
    name: z.string(),
    latest: templateVersionSchema.nullable().describe("The newest version."),
    ready: templateVersionSchema.nullable().describe("The version that new boxes use."),
    createdAt: timeSchema,
    owner: idSchema("usr"),
    org: idSchema("org"),
  })
  .meta({ id: "Template" });
export type Template = z.infer<typeof templateSchema>;

export const templatePage = pageOf(templateSchema, "TemplatePage");
export const templateVersionPage = pageOf(templateVersionSchema, "TemplateVersionPage");
export const templateQuery = z.strictObject(pageQuery);
export const templateVersionParams = z.strictObject({
  template: refSchema("template"),
  version: z.coerce.number().pipe(versionNumber),
});
