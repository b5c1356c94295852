// Times and numbers as the server writes them (dashboard/figures.py, dashboard/pages.py).

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
export const two = (n) => String(n).padStart(2, "0");

/** The same words as the server's: `21 Nov 22:49`, with the year when it is not this one. */
export function moment(date) {
  const year = date.getFullYear() === new Date().getFullYear() ? "" : ` ${date.getFullYear()}`;
  return `${date.getDate()} ${MONTHS[date.getMonth()]}${year} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

const STEPS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** `2 d 3 h`, `45 min`, `12 s`: the server's figures.duration. */
export function duration(seconds) {
  let left = Math.round(Math.abs(seconds));
  if (left < 60) return `${left} s`;
  left -= left % 60;
  const parts = [];
  for (const [size, name] of STEPS) {
    if (left >= size) {
      parts.push(`${Math.floor(left / size)} ${name}`);
      left %= size;
    } else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ");
}

/** Three to four significant digits: the server's figures.number. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e7 || (size > 0 && size < 1e-4)) return value.toExponential(2).replace("-", "−");
  const digits = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const [whole, part] = value.toFixed(digits).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return (part ? `${grouped}.${part}` : grouped).replace("-", "−");
}
