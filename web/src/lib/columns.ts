// Series as columns on one axis of time, as a chart wants them. Graphite gives
// each its own.

import type { Area, Nulls } from './view'
import type { Series } from './records'

type Value = number | null | undefined // undefined: the series has no point at that time

export interface Columns {
  times: number[]
  values: Value[][] // as they are, one column for each series
  drawn: Value[][] // as they are drawn: stacked, or with zeros
}

export function columns(series: Series[], nulls: Nulls, area: Area): Columns {
  const times = [...new Set(series.flatMap((s) => s.datapoints.map((p) => p[1])))].sort((a, b) => a - b)
  const at = new Map(times.map((t, i) => [t, i]))
  const values = series.map((s) => {
    const column: Value[] = new Array(times.length).fill(undefined)
    for (const [v, t] of s.datapoints) column[at.get(t)!] = v !== null && Number.isFinite(v) ? v : null
    return gaps(column)
  })
  const zeroed = nulls === 'zero' ? values.map((c) => c.map((v) => (v === null ? 0 : v))) : values
  return { times, values, drawn: area === 'stacked' ? stack(zeroed, series.map(right)) : zeroed }
}

// gaps widens missing values over times that only other series have, so that a
// line does not run through them.
function gaps(column: Value[]): Value[] {
  for (let i = 0; i < column.length; i++) {
    if (column[i] !== null) continue
    for (let k = i - 1; k >= 0 && column[k] === undefined; k--) column[k] = null
    for (let k = i + 1; k < column.length && column[k] === undefined; k++) column[k] = null
  }
  return column
}

// stack adds each series to those before it on the same axis. Between its points
// a series counts with its last value.
function stack(list: Value[][], onRight: boolean[]): Value[][] {
  const sums = [new Map<number, number>(), new Map<number, number>()]
  return list.map((column, n) => {
    const below = sums[Number(onRight[n])]!
    let held: Value
    return column.map((v, i) => {
      if (v !== undefined) held = v
      if (held === undefined || held === null) return held
      const sum = (below.get(i) ?? 0) + held
      below.set(i, sum)
      return sum
    })
  })
}

// alone finds values without a neighbour; a line shows nothing of them.
export function alone(column: ArrayLike<Value>): number[] {
  const known: number[] = [] // undefined ones do not part neighbours
  for (let i = 0; i < column.length; i++) if (column[i] !== undefined) known.push(i)
  return known.filter((i, k) => column[i] !== null && column[known[k - 1] ?? -1] == null && column[known[k + 1] ?? -1] == null)
}

// right tells whether a series is measured on the axis at the right.
export const right = (s: Series): boolean => s.tags?.secondYAxis === '1'

export interface Figures { min: number | null; mean: number | null; max: number | null; last: number | null }

export function figures(s: Series): Figures {
  let min = Infinity, max = -Infinity, sum = 0, n = 0, last: number | null = null
  for (const [v] of s.datapoints) {
    if (v === null || !Number.isFinite(v)) continue
    min = Math.min(min, v); max = Math.max(max, v); sum += v; n++; last = v
  }
  return n ? { min, mean: sum / n, max, last } : { min: null, mean: null, max: null, last: null }
}

// valueAt is the value at a time, or the one before it.
export function valueAt(s: Series, time: number): number | null {
  let low = 0, high = s.datapoints.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (s.datapoints[middle]![1] <= time) low = middle
    else high = middle - 1
  }
  const p = s.datapoints[low]
  return p && p[1] <= time ? p[0] : null
}
