// Quotas: what is taken beside what may be, and limits as they are set.

import type { z } from "zod";
import type { Quota, quotaLimitsSchema, updateQuotaSchema } from "#contract/quotas.ts";
import type { InstallationLimits, QuotaLimits } from "#domain/quota.ts";
import {
  getInstallationLimits,
  getOrgQuota,
  getQuotas,
  type Holder,
  type LimitsPatch,
  listQuotas,
  type QuotaView,
  setDefaultLimits,
  setInstallationLimits,
  setLimits,
} from "#store/quotas.ts";
import { pageFrom, textPosition } from "./cursor.ts";
import type { Call, Handlers } from "./route.ts";

type ShapedLimits = z.infer<typeof quotaLimitsSchema>;

const UNLIMITED: ShapedLimits = {
  ...{ boxes: null, running: null, cpus: null, memoryMib: null, gpus: null, diskGib: null },
  ...{ snapshotBytes: null, sharedPorts: null, createsPerHour: null },
  ...{ boxCpus: null, boxMemoryMib: null, boxDiskGib: null, templates: null },
};

function shapeLimits(limits: QuotaLimits): ShapedLimits {
  return { ...UNLIMITED, ...(limits as Partial<ShapedLimits>) };
}

function shapeQuota(quota: QuotaView): Quota {
  const { scope, id, name, usage, limits, ownLimits } = quota;
  return {
    ...{ scope, id, name },
    usage: { ...usage },
    limits: shapeLimits(limits),
    ownLimits: shapeLimits(ownLimits),
  };
}

function shapeInstallation({ org, team, user }: InstallationLimits) {
  return { org: shapeForAll(org), team: shapeForAll(team), user: shapeForAll(user) };
}

function shapeForAll(limits: QuotaLimits): Omit<ShapedLimits, "templates"> {
  const { templates: _, ...shaped } = shapeLimits(limits);
  return shaped;
}

type SetCall = Pick<Call<never>, "db" | "subject"> & {
  readonly body: z.infer<typeof updateQuotaSchema>;
};

async function set({ db, subject, body }: SetCall, holder: Holder): Promise<Quota> {
  return shapeQuota(await setLimits(db, subject, holder, body as LimitsPatch));
}

export function quotaHandlers(): Pick<Handlers, Extract<keyof Handlers, `quotas.${string}`>> {
  return {
    "quotas.get": async ({ db, subject }) => {
      const { user, teams, org, everyTeam, everyUser } = await getQuotas(db, subject);
      return {
        user: shapeQuota(user),
        teams: teams.map(shapeQuota),
        org: org && shapeQuota(org),
        everyTeam: shapeLimits(everyTeam),
        everyUser: shapeLimits(everyUser),
      };
    },
    "quotas.list": async ({ db, subject, query }) => {
      const scope = ["quotas", query.scope];
      const after = textPosition(scope, query.cursor);
      const rows = await listQuotas(db, subject, {
        ...{ scope: query.scope, after, limit: query.limit + 1 },
      });
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeQuota);
    },
    "quotas.getOrg": async ({ db, subject, params }) =>
      shapeQuota(await getOrgQuota(db, subject, params.org)),
    "quotas.setOrg": (call) => set(call, { scope: "org", reference: call.params.org }),
    "quotas.setTeam": (call) => set(call, { scope: "team", reference: call.params.team }),
    "quotas.setUser": (call) => set(call, { scope: "user", reference: call.params.user }),
    "quotas.setDefault": async ({ db, subject, params, body }) =>
      shapeLimits(await setDefaultLimits(db, subject, params.scope, body as LimitsPatch)),
    "quotas.getInstallation": async ({ db, subject }) =>
      shapeInstallation(await getInstallationLimits(db, subject)),
    "quotas.setInstallation": async ({ db, subject, params, body }) =>
      shapeInstallation(
        await setInstallationLimits(db, subject, params.scope, body as LimitsPatch),
      ),
  };
}
