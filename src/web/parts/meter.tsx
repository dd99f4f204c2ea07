// How much of something is taken: a bar beside its words.

import css from "./meter.module.css";

const HIGH = 0.85;

export function Meter(props: {
  readonly label: string;
  readonly used: number;
  /** Null: there is no limit. */
  readonly of: number | null;
  readonly show?: (value: number) => string;
  /** Where something else says what it is, such as the head of a column. */
  readonly isBare?: boolean;
  /** The fuller the better. */
  readonly isGood?: boolean;
  /** Shares of the whole that are marked on the bar. */
  readonly marks?: readonly number[];
}) {
  const { used, of } = props;
  const show = props.show ?? String;
  const share = of === null ? 0 : of === 0 ? (used > 0 ? 1 : 0) : used / of;
  const tone = props.isGood ? "calm" : share >= 1 ? "full" : share > HIGH ? "high" : "calm";
  return (
    <div className={css.meter}>
      <div className={css.words}>
        {props.isBare ? null : <span>{props.label}</span>}
        <span>
          <b>{show(used)}</b> {of === null ? "· no limit" : `of ${show(of)}`}
        </span>
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: a meter cannot be drawn alike everywhere */}
      <div
        className={css.bar}
        data-tone={tone}
        data-open={of === null}
        role="meter"
        aria-label={`${props.label} in use`}
        aria-valuenow={Math.round(Math.min(1, share) * 100)}
        aria-valuetext={`${show(used)} ${of === null ? "without a limit" : `of ${show(of)}`}`}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        <div style={{ width: `${Math.min(100, share * 100)}%` }} />
        {(props.marks ?? [])
          .filter((mark) => mark < 1)
          .map((mark) => (
            <i key={mark} style={{ left: `${mark * 100}%` }} />
          ))}
      </div>
    </div>
  );
}
