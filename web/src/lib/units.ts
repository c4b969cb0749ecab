// Units of metrics, as far as their names tell by custom, and values in them.

import { number } from './format'

export type Unit = '' | 'ms' | '%' | 'B' | 's'

// Functions whose results are in the unit of their first argument.
const keeps = /^(absolute|averageSeries|avg|consolidateBy|keepLastValue|max|maxSeries|min|minSeries|moving\w+|secondYAxis|smartSummarize|sum|sumSeries|summarize|timeShift)\(/

export function unit(target: string): Unit {
  let rest = target
  for (let call = keeps.exec(rest); call; call = keeps.exec(rest)) rest = rest.slice(call[0].length)
  if (rest !== target) rest = rest.split(/[,)]/, 1)[0]!
  const name = rest.split(';', 1)[0]!.toLowerCase() // without tags
  if (/\(|[*?{}[\]][^.]*$/.test(name)) return '' // what else a function makes of it is not known
  if (/(^|[._])(percent|pct)$/.test(name)) return '%'
  if (/(^|[._])bytes$/.test(name)) return 'B'
  if (/(^|[._])seconds$/.test(name)) return 's'
  if (/(^|[._])ms$/.test(name)) return 'ms'
  if (/^stats\.timers\./.test(name) && /\.(upper|lower|mean|median|std|sum)(_\d+)?$/.test(name)) return 'ms'
  return ''
}

// common is the unit of all targets, if they have the same.
export const common = (targets: string[]): Unit => {
  const all = new Set(targets.map(unit))
  return all.size === 1 ? [...all][0]! : ''
}

// quantity takes any unit; it knows how to shorten those of custom.
export function quantity(v: number | null | undefined, u: string): string {
  if (v === null || v === undefined || Number.isNaN(v)) return '–'
  const a = Math.abs(v)
  if (u === 'ms' && a >= 1000) return `${number(v / 1000)} s`
  if (u === 'B') {
    for (const [size, name] of [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']] as const) {
      if (a >= size) return `${number(v / size)} ${name}`
    }
  }
  return u === '' || v === 0 ? number(v) : `${number(v)} ${u}`
}
