import { describe, expect, it } from 'vitest'
import { address, asked, explore, fileOf, level, newest, panel, time } from './dashboards'
import type { Dashboard, Panel } from './records'
import { read } from './view'

const board: Dashboard = { name: 'shop', title: 'Shop', from: '-6h', until: 'now', panels: null }
const first: Panel = { kind: 'stacked', targets: ['a.b', 'c'], width: 6, title: 'Both & all', y_max: 9, thresholds: [{ above: 5, level: 'warn' }] }

describe('a dashboard', () => {
  it('opens with its own time, and the address wins', () => {
    expect(time(new URLSearchParams(), board)).toEqual({ from: '-6h', until: '', refresh: undefined })
    expect(time(new URLSearchParams(), { ...board, until: 'midnight' }).until).toBe('midnight')
    expect(time(new URLSearchParams('from=-1d'), { ...board, until: 'midnight' })).toEqual({ from: '-1d', until: '', refresh: undefined })
    const t = { from: '1767312000', until: '1767355200', refresh: 30 }
    expect(time(new URL(address('a b', t), 'http://x').searchParams, board)).toEqual(t)
  })
  it('asks for each target once', () => expect(asked([first, { ...first, targets: ['c', 'd'] }], time(new URLSearchParams(), board)).targets.map((t) => t.text)).toEqual(['a.b', 'c', 'd']))
  it('opens a panel on the page Metrics, which makes the same panel of it', () => {
    const v = read(new URL(explore(first, time(new URLSearchParams(), board)), 'http://x').searchParams)
    expect([v.from, v.title, v.area, v.bound]).toEqual(['-6h', 'Both & all', 'stacked', 5])
    expect(panel(v, { title: v.title, kind: 'stacked', width: 6 })).toEqual({ ...first, thresholds: [{ above: 5, level: 'critical' }] })
  })
  it.each([[1, ''], [6, 'warn'], [11, 'critical'], [-1, 'critical'], [null, '']] as const)('%s is %j', (v, want) => {
    expect(level(v, [{ above: 5, level: 'warn' }, { above: 10, level: 'critical' }, { below: 0, level: 'critical' }])).toBe(want)
  })
  it('knows the newest value', () => expect(newest({ target: 'a', datapoints: [[1, 1], [2, 2], [null, 3]] })).toBe(2))
  it.each([['Time to First Byte!', 'time-to-first-byte'], ['  ', '']])('%j is in the file %j', (title, file) => expect(fileOf(title)).toBe(file))
})
