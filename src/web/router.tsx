// Which page an address shows. Pages that are not the first one people see come in files of their own.

import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { BoxesPage } from "./boxes/boxes-page.tsx";
import { readAddress, writeAddress } from "./data/address.ts";
import { Frame } from "./frame.tsx";
import { LoginPage } from "./login-page.tsx";
import { Crashed, NotFound } from "./parts/lost.tsx";

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });
const login = createRoute({ getParentRoute: () => root, path: "/login", component: LoginPage });
const invitation = createRoute({
  getParentRoute: () => root,
  path: "/invitation",
  component: lazyRouteComponent(() => import("./invitation-page.tsx"), "InvitationPage"),
});
const inside = createRoute({ getParentRoute: () => root, id: "inside", component: Frame });

const home = createRoute({
  getParentRoute: () => inside,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/boxes", replace: true });
  },
});
const boxes = createRoute({ getParentRoute: () => inside, path: "/boxes", component: BoxesPage });
const box = createRoute({
  getParentRoute: () => inside,
  path: "/boxes/$box",
  component: lazyRouteComponent(() => import("./box/box-page.tsx"), "BoxPage"),
});
const boxTab = createRoute({
  getParentRoute: () => inside,
  path: "/boxes/$box/$tab",
  component: lazyRouteComponent(() => import("./box/box-page.tsx"), "BoxPage"),
});
const templates = createRoute({
  getParentRoute: () => inside,
  path: "/templates",
  component: lazyRouteComponent(() => import("./templates/templates-page.tsx"), "TemplatesPage"),
});
const template = createRoute({
  getParentRoute: () => inside,
  path: "/templates/$template",
  component: lazyRouteComponent(() => import("./templates/template-page.tsx"), "TemplatePage"),
});
const nodes = createRoute({
  getParentRoute: () => inside,
  path: "/nodes",
  beforeLoad: () => {
    throw redirect({ to: "/installation/$section", params: { section: "nodes" }, replace: true });
  },
});
const nowhere = createRoute({ getParentRoute: () => inside, path: "$", component: NotFound });
const keys = createRoute({
  getParentRoute: () => inside,
  path: "/keys",
  component: lazyRouteComponent(() => import("./account/keys-page.tsx"), "KeysPage"),
});
const tokens = createRoute({
  getParentRoute: () => inside,
  path: "/tokens",
  component: lazyRouteComponent(() => import("./account/tokens-page.tsx"), "TokensPage"),
});
const orgPage = lazyRouteComponent(() => import("./org/org-page.tsx"), "OrgPage");
const org = createRoute({ getParentRoute: () => inside, path: "/org", component: orgPage });
const orgSection = createRoute({
  getParentRoute: () => inside,
  path: "/org/$section",
  component: orgPage,
});

const installationPage = lazyRouteComponent(
  () => import("./installation/installation-page.tsx"),
  "InstallationPage",
);
const installation = createRoute({
  getParentRoute: () => inside,
  path: "/installation",
  component: installationPage,
});
const installationSection = createRoute({
  getParentRoute: () => inside,
  path: "/installation/$section",
  component: installationPage,
});

export const router = createRouter({
  routeTree: root.addChildren([
    login,
    invitation,
    inside.addChildren([
      home,
      boxes,
      box,
      boxTab,
      templates,
      template,
      nodes,
      keys,
      tokens,
      org,
      orgSection,
      installation,
      installationSection,
      nowhere,
    ]),
  ]),
  parseSearch: readAddress,
  stringifySearch: writeAddress,
  defaultErrorComponent: Crashed,
  defaultNotFoundComponent: NotFound,
  // Only reads follow from hovering; they are light.
  defaultPreload: "intent",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
