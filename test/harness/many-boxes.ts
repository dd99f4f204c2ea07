// A browser that is told of thousands of boxes that nobody made: each looks like one that is there.

import type { Page } from "playwright-core";
import type { Box } from "#sdk/client.ts";

const nameOf = (index: number) => `many-${String(index).padStart(4, "0")}`;

/** The newest has the highest number. Each page of the list comes as the server would send it. */
export async function pretendBoxes(page: Page, like: Box, count: number): Promise<void> {
  const bornMs = Date.parse(like.createdAt);
  const boxes = Array.from({ length: count }, (_, index) => ({
    ...like,
    id: `box_${nameOf(index).replace("-", "").padStart(20, "0")}`,
    name: nameOf(index),
    createdAt: new Date(bornMs - (count - index) * 1000).toISOString(),
  }));
  await page.route(/\/v1\/boxes\?/, async (route) => {
    const query = new URL(route.request().url()).searchParams;
    const from = Number(query.get("cursor") ?? 0);
    const to = from + Number(query.get("limit"));
    const nextCursor = to < count ? String(to) : null;
    await route.fulfill({ json: { items: boxes.slice(from, to), nextCursor } });
  });
}
