import { describe, expect, it } from 'vitest'
import { broken, nameOf, nameWrong, round, seconds, suggest, yaml } from './check'
import { alone, columns, figures, right, valueAt } from './columns'
import type { Series } from './records'

const series = (start: number, step: number, values: (number | null)[], tags?: Record<string, string>): Series => ({ target: 'a', tags, datapoints: values.map((v, i) => [v, start + i * step]) })

describe('columns', () => {
  it('lie on one axis of time, and gaps stay gaps', () => {
    const c = columns([series(0, 10, [1, 2, 3]), series(0, 5, [1, 2, null, 4, 5])], 'gap', 'none')
    expect(c.times).toEqual([0, 5, 10, 15, 20])
    expect(c.values).toEqual([[1, undefined, 2, undefined, 3], [1, 2, null, 4, 5]])
  })
  it('widen a gap over the times of others', () => {
    expect(columns([series(0, 10, [1, null, 3]), series(0, 5, [0, 0, 0, 0, 0])], 'gap', 'none').values[0]).toEqual([1, null, null, null, 3])
  })
  it('draw missing values as zero, and infinite ones not at all', () => {
    const c = columns([series(0, 1, [1, null, Infinity])], 'zero', 'none')
    expect(c.values).toEqual([[1, null, null]])
    expect(c.drawn).toEqual([[1, 0, 0]])
  })
  it('stack on the series before, on each axis by itself', () => {
    const c = columns([series(0, 1, [1, 2]), series(0, 1, [10, null]), series(0, 1, [100, 100], { secondYAxis: '1' }), series(0, 1, [5, 5])], 'gap', 'stacked')
    expect(c.drawn).toEqual([[1, 2], [11, null], [100, 100], [16, 7]])
    expect(c.values[3]).toEqual([5, 5])
  })
  it('hold a value between points when they stack', () => {
    expect(columns([series(0, 2, [1, 3]), series(0, 1, [1, 1, 1])], 'gap', 'stacked').drawn).toEqual([[1, 1, 3], [2, 2, 4]])
  })
  it('of nothing are empty', () => expect(columns([], 'gap', 'none')).toEqual({ times: [], values: [], drawn: [] }))
  it('have values without neighbours', () => {
    expect(alone([1, null, 2, 3, null, 4])).toEqual([0, 5])
    expect(alone([1, undefined, 2])).toEqual([])
    expect(alone([null, undefined, 2, undefined, null])).toEqual([2])
  })
})

describe('figures of a series', () => {
  it('leave out what is missing', () => expect(figures(series(0, 1, [null, 4, 2, null, 6, null]))).toEqual({ min: 2, mean: 4, max: 6, last: 6 }))
  it('are none of nothing', () => expect(figures(series(0, 1, [null]))).toEqual({ min: null, mean: null, max: null, last: null }))
  it('know the value at a time', () => {
    const s = series(100, 10, [1, 2, null])
    expect([99, 100, 115, 125, 1000].map((t) => valueAt(s, t))).toEqual([null, 1, 2, null, null])
    expect(valueAt(series(0, 1, []), 5)).toBeNull()
  })
  it('know their axis', () => expect([right(series(0, 1, [], { secondYAxis: '1' })), right(series(0, 1, []))]).toEqual([true, false]))
})

describe('a check made of a chart', () => {
  it('rounds outwards to two digits', () => {
    expect([round(231.2, true), round(231.2, false), round(-231.2, true), round(0.0123, true), round(0, true), round(30, true)]).toEqual([240, 230, -230, 0.013, 0, 30])
  })
  it('has bounds beyond what was seen', () => {
    expect(suggest([series(0, 1, [100, 200, null])])).toEqual({ above: 220, below: 80 })
    expect(suggest([series(0, 1, [0, 50])])).toEqual({ above: 60, below: undefined })
    expect(suggest([series(0, 1, [1, 100])])).toEqual({ above: 120, below: 0.5 })
    expect(suggest([series(0, 1, [null])])).toEqual({ above: undefined, below: undefined })
  })
  it('counts how often it would have been critical', () => {
    const s = [series(0, 10, [1, 9, 9, 9, 1, 9, null, 1, 9])]
    expect(broken(s, { above: 5, below: undefined }, 0)).toEqual({ times: 3, seconds: 30 + 20 + 10 })
    expect(broken(s, { above: 5, below: undefined }, 30)).toEqual({ times: 1, seconds: 30 })
    expect(broken(s, { above: undefined, below: 2 }, 0)).toEqual({ times: 3, seconds: 30 })
    expect(broken([], { above: 1, below: undefined }, 0)).toEqual({ times: 0, seconds: 0 })
  })
  it('reads durations', () => expect(['1m', '1m30s', '', '0', '250ms', '5', 'x'].map(seconds)).toEqual([60, 90, 0, 0, 0.25, undefined, undefined]))
  it('is named after the target', () => {
    expect(nameOf('movingAverage(stats.timers.shop.ttfb.upper_90,"5min")')).toBe('ttfb-upper-90')
    expect(nameOf('sumSeries(stats.*.{a,b}.errors)')).toBe('stats-errors')
    expect(nameOf('***')).toBe('check')
    for (const t of ['a.b', 'ö.ü', 'x'.repeat(300) + '.y']) expect(nameWrong(nameOf(t))).toBe('')
  })
  it('is YAML for both places', () => {
    const d = { name: 'slow', service: 'shop', environment: 'production', query: 'sumSeries(a.b,"5min")', above: 300, below: undefined, for: '1m', severity: 'page' }
    expect(yaml(d, 'definitions')).toBe('- name: slow\n  service: shop\n  environment: production\n  query: "sumSeries(a.b,\\"5min\\")"\n  above: 300\n  for: 1m\n  severity: page\n')
    expect(yaml({ ...d, environment: '', query: 'a.b', for: '0s' }, 'service')).toBe('checks:\n  - name: slow\n    query: a.b\n    above: 300\n    severity: page\n')
    expect(yaml({ ...d, name: 'no' }, 'definitions')).toMatch(/^- name: "no"\n/)
  })
})
