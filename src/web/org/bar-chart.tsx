// Bars over time, each in pieces: by elements and styles alone, so that it takes the theme's colours and any width.

import { Tooltip } from "@mantine/core";
import css from "./bar-chart.module.css";
import { type Bar, type Chart, roundUp, type Series } from "./usage-series.ts";

interface BarChartProps {
  readonly label: string;
  readonly chart: Chart;
  readonly show: (value: number) => string;
  /** What is below a bar; null: nothing. */
  readonly tick: (at: string, index: number) => string | null;
  readonly titleOf: (at: string) => string;
}

export function BarChart({ label, chart, show, tick, titleOf }: BarChartProps) {
  const top = roundUp(chart.max);
  return (
    <figure className={css.figure} aria-label={label}>
      <div className={css.plot}>
        <div className={css.scale} aria-hidden>
          <span>{show(top)}</span>
          <span>{show(top / 2)}</span>
          <span>{show(0)}</span>
        </div>
        <div className={css.bars}>
          {chart.bars.map((bar, index) => (
            <div key={bar.at} className={css.column}>
              <Tooltip
                openDelay={80}
                label={
                  <Legend title={titleOf(bar.at)} bar={bar} series={chart.series} show={show} />
                }
              >
                <div
                  className={css.bar}
                  role="img"
                  aria-label={`${titleOf(bar.at)}: ${show(bar.total)}`}
                >
                  {chart.series.map(({ id }, color) => {
                    const part = bar.parts.get(id) ?? 0;
                    return part > 0 ? (
                      <i key={id} data-color={color} style={{ height: `${(part / top) * 100}%` }} />
                    ) : null;
                  })}
                </div>
              </Tooltip>
              <span className={css.tick} aria-hidden>
                {tick(bar.at, index)}
              </span>
            </div>
          ))}
        </div>
      </div>
      <figcaption className={css.legend}>
        {chart.series.map(({ id, name }, color) => (
          <span key={id}>
            <i data-color={color} />
            {name}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

function Legend(props: {
  readonly title: string;
  readonly bar: Bar;
  readonly series: readonly Series[];
  readonly show: (value: number) => string;
}) {
  const { bar, show } = props;
  return (
    <div className={css.tip}>
      <b>{props.title}</b>
      <b>{show(bar.total)}</b>
      {props.series.map(({ id, name }) => {
        const part = bar.parts.get(id);
        return part ? [<span key="name">{name}</span>, <span key="part">{show(part)}</span>] : null;
      })}
    </div>
  );
}
