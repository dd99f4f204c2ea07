// fast-check with the seed of this run. Tests take the same way each time, so that a change is judged by what it
// changes; SEED=N takes another, and what that finds becomes an example of its test.

import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.SEED ?? 1) });

export { fc };
