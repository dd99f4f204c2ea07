// Money and amounts as people read them. They come as decimals without rounding; they are rounded only to be shown.

const KINDS = new Map<string, Intl.NumberFormat>();

function formatOf(currency: string, digits: number): Intl.NumberFormat {
  const key = `${currency} ${digits}`;
  const known = KINDS.get(key);
  if (known) return known;
  const fraction = { minimumFractionDigits: 2, maximumFractionDigits: digits };
  const made = new Intl.NumberFormat(undefined, { style: "currency", currency, ...fraction });
  KINDS.set(key, made);
  return made;
}

/** Small amounts with more digits: an hour of a box costs less than a cent. */
export function money(decimal: string | number, currency: string): string {
  const value = Number(decimal);
  const digits = value !== 0 && Math.abs(value) < 0.1 ? 5 : 2;
  return formatOf(currency, digits).format(value);
}

export function amount(decimal: string | number): string {
  const value = Number(decimal);
  const digits = value !== 0 && Math.abs(value) < 1 ? 3 : 1;
  return value.toLocaleString(undefined, { maximumFractionDigits: digits });
}
