// Numbers and times as people read them.

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Bytes in steps of 1024, with one decimal where it says something. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit] ?? ''}`;
}

/** A share as a whole percentage between 0 and 100; 0 of nothing is 0. */
export function percentOf(used: number, total: number): number {
  return total > 0 ? clampPercent((used / total) * 100) : 0;
}

export function clampPercent(percent: number): number {
  return Math.round(Math.min(100, Math.max(0, percent)));
}

const sameYear = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});
const otherYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });

export function formatTime(ms: number, now = Date.now()): string {
  const date = new Date(ms);
  const thisYear = date.getFullYear() === new Date(now).getFullYear();
  return (thisYear ? sameYear : otherYear).format(date);
}
