// VS Code in a tab of Chromium, as a person uses it: folders, files, underlined mistakes, terminals. Waits are for what is
// seen, and long: behind it is an emulated machine.

import type { Locator, Page } from "playwright-core";
import { until } from "./installation.ts";

export const EDITOR_WAIT_MS = 5 * 60_000;

export class CodeEditor {
  readonly #page: Page;

  constructor(page: Page) {
    page.setDefaultTimeout(EDITOR_WAIT_MS);
    this.#page = page;
  }

  /** Until the folder is there. */
  async open(url: string): Promise<void> {
    await this.#page.goto(url, { waitUntil: "domcontentloaded" });
    await this.#entry("package.json").waitFor();
  }

  /** What was typed and not saved does not hold it up. */
  async reload(): Promise<void> {
    this.#page.once("dialog", (dialog) => dialog.accept());
    await this.#page.reload({ waitUntil: "domcontentloaded" });
  }

  /** Names of what the explorer shows, folders that are open included. */
  async entries(): Promise<string[]> {
    const labels = this.#page.locator(".explorer-folders-view .monaco-list-row .label-name");
    return await labels.allInnerTexts();
  }

  /** A path below the folder, by double clicks in the explorer. */
  async openFile(path: string): Promise<void> {
    const [name = "", ...folders] = path.split("/").reverse();
    for (const folder of folders.reverse()) await this.#entry(folder).click();
    await this.#entry(name).dblclick();
    await this.#tab(name).waitFor();
    await this.#lines().first().waitFor();
  }

  async newFile(): Promise<void> {
    await this.#focusEnd();
    await this.#page.keyboard.press("Control+Alt+N");
    await this.#tab("Untitled-1").waitFor();
  }

  async showTab(name: string): Promise<void> {
    await this.#tab(name).click();
  }

  /** At the end of the file that is shown. */
  async type(text: string): Promise<void> {
    await this.#focusEnd();
    await this.#page.keyboard.type(text);
  }

  /** Takes away what is at the end of the file that is shown; looks first, because a busy page may lose keys. */
  async erase(text: string): Promise<void> {
    const isGone = async () => (await this.#lines().getByText(text).count()) === 0;
    await until(`${text} is erased`, async () => {
      if (await isGone()) return true;
      await this.#focusEnd();
      for (const _ of text) await this.#page.keyboard.press("Backspace");
      await this.#page.waitForTimeout(2_000);
      return await isGone();
    });
  }

  async untilText(text: string): Promise<void> {
    await this.#lines().getByText(text).first().waitFor();
  }

  /** What a language server says of the file that is shown. */
  async untilUnderlined(): Promise<void> {
    await this.#underlined().waitFor();
  }

  async untilNotUnderlined(): Promise<void> {
    await this.#underlined().waitFor({ state: "detached" });
  }

  async problems(): Promise<string> {
    await this.#page.keyboard.press("Control+Shift+M");
    const rows = this.#page.locator(".markers-panel .monaco-list-row");
    await rows.first().waitFor();
    return (await rows.allInnerTexts()).join("\n");
  }

  /** Or shows the one that there is. */
  async openTerminal(): Promise<void> {
    const shown = this.#page.locator(".terminal-wrapper.active .xterm-screen").first();
    if (!(await shown.isVisible())) await this.#page.keyboard.press("Control+`");
    await this.untilTerminalSays(/[$#]/);
  }

  async runInTerminal(command: string): Promise<void> {
    await this.#page.locator(".terminal-wrapper.active .xterm-helper-textarea").first().focus();
    await this.#page.keyboard.type(`${command}\n`);
  }

  async untilTerminalSays(pattern: RegExp): Promise<void> {
    await until(
      `${pattern} in the terminal`,
      async () => pattern.test(await this.#terminalText()),
      EDITOR_WAIT_MS,
    );
  }

  /** The lines that are seen. */
  async #terminalText(): Promise<string> {
    const rows = this.#page.locator(".terminal-wrapper.active .xterm-rows > div");
    return (await rows.allInnerTexts()).join("\n");
  }

  /** Not by a click: over an empty file lies a hint. */
  async #focusEnd(): Promise<void> {
    await this.#page.locator(".editor-instance .native-edit-context").first().focus();
    await this.#page.keyboard.press("Control+End");
  }

  #entry(name: string): Locator {
    const rows = this.#page.locator(".explorer-folders-view .monaco-list-row");
    return rows.filter({ has: this.#page.getByText(name, { exact: true }) });
  }

  #tab(name: string): Locator {
    return this.#page.locator(`.tab[data-resource-name="${name}"]`);
  }

  #lines(): Locator {
    return this.#page.locator(".editor-instance .view-line");
  }

  #underlined(): Locator {
    return this.#page.locator(".editor-instance .squiggly-error").first();
  }
}
