// The story of two organizations with processes for boxes.

import { tellStory } from "#test/e2e/organizations-story.ts";

tellStory("fake");
