// The beginning of the web app.

import "@fontsource-variable/inter";
import "@fontsource-variable/jetbrains-mono";
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./global.css";
import { localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { queries } from "./data/berth.ts";
import { router } from "./router.tsx";
import { theme } from "./theme.ts";

const colorScheme = localStorageColorSchemeManager({ key: "berth-color-scheme" });

const place = document.getElementById("app");
if (place)
  createRoot(place).render(
    <StrictMode>
      <MantineProvider theme={theme} colorSchemeManager={colorScheme} defaultColorScheme="auto">
        <QueryClientProvider client={queries}>
          <Notifications position="bottom-right" limit={4} />
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
