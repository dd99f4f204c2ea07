// What Mantine's components look like here: a calm blue-grey, one accent, small and dense.

import { type BadgeProps, createTheme, type MantineColorsTuple } from "@mantine/core";

const tide: MantineColorsTuple = [
  "#e5f7fa",
  "#cbecf2",
  "#9bdae6",
  "#66c6d8",
  "#3cb4cb",
  "#1fa5bf",
  "#1493ad",
  "#0b7f98",
  "#086a80",
  "#045567",
];

/** White is read on its middle. */
const red: MantineColorsTuple = [
  "#fff0f0",
  "#ffe3e3",
  "#ffc9c9",
  "#ffa8a8",
  "#f58a8d",
  "#e25b60",
  "#d3434a",
  "#c42f36",
  "#b5262c",
  "#96191f",
];

const gray: MantineColorsTuple = [
  "#f8f9fb",
  "#f1f3f6",
  "#e6e9ee",
  "#d8dde5",
  "#c3cad5",
  "#a3acba",
  "#646e7e",
  "#566070",
  "#373f4c",
  "#1c222b",
];

const dark: MantineColorsTuple = [
  "#e4e7ed",
  "#b8bfcb",
  "#949dad",
  "#667082",
  "#2c3340",
  "#222834",
  "#191e27",
  "#11151c",
  "#0d1016",
  "#090b10",
];

const READABLE: Readonly<Record<string, string>> = {
  ...{ yellow: "var(--warn)", red: "var(--bad)", tide: "var(--accent-text)" },
};

export const theme = createTheme({
  primaryColor: "tide",
  primaryShade: { light: 7, dark: 7 },
  colors: { tide, gray, dark, red },
  fontFamily: '"Inter Variable", system-ui, sans-serif',
  fontFamilyMonospace: '"JetBrains Mono Variable", ui-monospace, monospace',
  headings: { fontFamily: '"Inter Variable", system-ui, sans-serif', fontWeight: "600" },
  defaultRadius: "md",
  cursorType: "pointer",
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "19px" },
  radius: { xs: "3px", sm: "5px", md: "7px", lg: "10px", xl: "14px" },
  components: {
    Button: { defaultProps: { size: "xs" } },
    TextInput: { defaultProps: { size: "sm" } },
    PasswordInput: { defaultProps: { size: "sm" } },
    Select: { defaultProps: { size: "sm" } },
    Textarea: { defaultProps: { size: "sm" } },
    Tooltip: { defaultProps: { openDelay: 400, withArrow: false } },
    Modal: {
      defaultProps: {
        centered: true,
        overlayProps: { backgroundOpacity: 0.45 },
        closeButtonProps: { "aria-label": "Close" },
      },
      styles: { title: { fontWeight: 600, fontSize: 15 } },
    },
    // The placeholder is nothing that a menu may have in it.
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
    Badge: {
      // Its own light colours are hard to read.
      vars: (_: unknown, { variant, color }: BadgeProps) => ({
        root:
          variant === "light" && color && color in READABLE
            ? { "--badge-color": READABLE[color] }
            : {},
      }),
    },
    Drawer: {
      defaultProps: {
        overlayProps: { backgroundOpacity: 0.45 },
        closeButtonProps: { "aria-label": "Close" },
      },
      styles: { title: { fontWeight: 600, fontSize: 15 } },
    },
    ActionIcon: {
      defaultProps: { variant: "subtle", color: "gray", size: "md" },
      vars: () => ({ root: { "--ai-color": "var(--text-dim)" } }),
    },
  },
});
