// Counters and histograms in the Prometheus text format. Names and labels are fixed in code: no
// label takes a value from a user, so the number of series is bounded.

export type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly help: string;
  readonly type: "counter" | "histogram" | "gauge";
  readonly lines: () => string[];
}

/** Upper bounds in seconds: from a millisecond to a cold boot under emulation. */
const BUCKETS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

export interface Counter {
  add(labels?: Labels, by?: number): void;
}

export interface Histogram {
  observe(seconds: number, labels?: Labels): void;
}

export class Metrics {
  readonly #families = new Map<string, Family>();

  counter(name: string, help: string): Counter {
    const values = new Map<string, number>();
    this.#families.set(name, {
      help,
      type: "counter",
      lines: () => [...values].map(([key, value]) => `${name}${key} ${value}`),
    });
    return {
      add: (labels = {}, by = 1) => {
        const key = print(labels);
        values.set(key, (values.get(key) ?? 0) + by);
      },
    };
  }

  /** A value that is read when the metrics are. */
  gauge(name: string, help: string, read: () => number): void {
    this.#families.set(name, { help, type: "gauge", lines: () => [`${name} ${read()}`] });
  }

  histogram(name: string, help: string): Histogram {
    const series = new Map<string, { labels: Labels; counts: number[]; sum: number }>();
    this.#families.set(name, {
      help,
      type: "histogram",
      lines: () => [...series.values()].flatMap((one) => printHistogram(name, one)),
    });
    return {
      observe: (seconds, labels = {}) => {
        const key = print(labels);
        const one = series.get(key) ?? {
          labels,
          counts: new Array<number>(BUCKETS_S.length + 1).fill(0),
          sum: 0,
        };
        series.set(key, one);
        const bucket = BUCKETS_S.findIndex((bound) => seconds <= bound);
        const at = bucket < 0 ? BUCKETS_S.length : bucket;
        one.counts[at] = (one.counts[at] ?? 0) + 1;
        one.sum += seconds;
      },
    };
  }

  print(): string {
    const lines: string[] = [];
    for (const [name, family] of this.#families) {
      lines.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.type}`);
      lines.push(...family.lines());
    }
    return `${lines.join("\n")}\n`;
  }
}

function print(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([name, value]) =>
      `${name}="${value.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`))}"`,
  );
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function printHistogram(
  name: string,
  one: { labels: Labels; counts: readonly number[]; sum: number },
): string[] {
  let count = 0;
  const buckets = one.counts.map((n, i) => {
    count += n;
    const bound = BUCKETS_S[i];
    return `${name}_bucket${print({ ...one.labels, le: bound === undefined ? "+Inf" : String(bound) })} ${count}`;
  });
  return [
    ...buckets,
    `${name}_sum${print(one.labels)} ${one.sum}`,
    `${name}_count${print(one.labels)} ${count}`,
  ];
}
