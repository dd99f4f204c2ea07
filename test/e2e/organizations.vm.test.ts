// The story of two organizations with real virtual machines.

import { tellStory } from "#test/e2e/organizations-story.ts";

tellStory("qemu");
