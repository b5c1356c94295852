// What the server answers, as the columns of a chart.

/** Health in the shape of readings. Hours in which the machine was at rest are missing: the line breaks there. */
export function asReadings({ time, course, bucket_s }) {
  const columns = { bucket_s, time: [], mean: [], min: [], max: [] };
  const put = (at, value) => {
    columns.time.push(at);
    for (const name of ["mean", "min", "max"]) columns[name].push(value);
  };
  time.forEach((at, index) => {
    const before = index ? Date.parse(time[index - 1]) : Infinity;
    if (Date.parse(at) - before > 1500 * bucket_s) put(new Date(before + 1000 * bucket_s).toISOString(), null);
    put(at, course[index]);
  });
  return columns;
}

/** Seconds since 1970, highest, lowest, mean; null where there is a gap, or no more than the reading itself. */
export function columnsOf(answer) {
  const rolled = answer.bucket_s !== null;
  // A bucket stands for its middle.
  const shift = rolled ? answer.bucket_s / 2 : 0;
  const columns = [[], [], [], []];
  answer.time.forEach((time, index) => {
    columns[0].push(Date.parse(time) / 1000 + shift);
    columns[1].push(rolled ? answer.max[index] : null);
    columns[2].push(rolled ? answer.min[index] : null);
    columns[3].push(answer.mean[index]);
  });
  return columns;
}
