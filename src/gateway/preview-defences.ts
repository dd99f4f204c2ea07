// What stands between a preview and everybody else, by name. A test switches one off to see its attack succeed;
// nothing else ever does.

export interface PreviewDefences {
  /** Another origin's page reaches a preview that is not public only by a plain navigation. */
  readonly ownOriginOnly: boolean;
  /** Berth's own cookies, tokens and headers do not reach the app, and it cannot set them. */
  readonly platformSecrets: boolean;
  /** An app sets cookies for its own host only. */
  readonly hostCookies: boolean;
  /** An app's answer changes nothing beyond its own pages: caches, transport, other scopes. */
  readonly answerReach: boolean;
  /** A code opens the preview only in the browser that asked for it. */
  readonly nonce: boolean;
  /** A code is taken once. */
  readonly onceOnly: boolean;
  /** After entering, the browser goes to the same origin. */
  readonly relativeReturn: boolean;
  /** Answers of the gateway itself send no address on. */
  readonly noReferrer: boolean;
  /** An open answer ends when its right does. */
  readonly endings: boolean;
  /** A page that was open when its box was paused does not wake it. */
  readonly pausesHold: boolean;
}

export const PREVIEW_DEFENCES: PreviewDefences = {
  ownOriginOnly: true,
  platformSecrets: true,
  hostCookies: true,
  answerReach: true,
  nonce: true,
  onceOnly: true,
  relativeReturn: true,
  noReferrer: true,
  endings: true,
  pausesHold: true,
};
