import { describe, expect, it } from 'vitest'
import { ticks } from './ticks'
import { common, quantity, unit } from './units'

const at = (year: number, month: number, day: number, h = 0, m = 0, s = 0) => new Date(year, month, day, h, m, s).getTime() / 1000

describe('times under a chart', () => {
  it('names the day once', () => {
    const start = at(2026, 0, 5, 21, 0)
    const [a, b] = ticks([start, start + 60], 60)
    expect(a).toMatch(/^21:00\n.*5/)
    expect(b).toBe('21:01')
  })
  it('has seconds when they differ', () => expect(ticks([at(2026, 0, 5, 9, 5, 7)], 5)[0]).toMatch(/^09:05:07\n/))
  it('names the next day', () => {
    const midnight = at(2026, 0, 6)
    expect(ticks([midnight - 3600, midnight], 3600)[1]).toMatch(/^00:00\n.*6/)
  })
  it('is days for long spans', () => expect(ticks([at(2026, 0, 6)], 86400)[0]).not.toMatch(/:/))
})

describe('units', () => {
  it.each([
    ['stats.timers.catalog.ttfb.upper_90', 'ms'], ['stats.timers.catalog.ttfb.count', ''], ['servers.vm.disk.root.used_percent', '%'],
    ['servers.vm.memory.used_bytes', 'B'], ['sumSeries(stats.timers.a.mean)', 'ms'], ['movingAverage(sum(a.{b}.took_ms),5)', 'ms'],
    ['scale(a.took_ms,2)', ''], ['sumSeries(a.b_ms.*)', ''], ['secondYAxis(disk.used_bytes;host=a)', 'B'], ['stats.counters.x.rate', ''],
  ])('%s is in %j', (target, u) => expect(unit(target)).toBe(u))
  it('is the common one of all, or none', () => {
    expect(common(['a.percent', 'b.percent'])).toBe('%')
    expect(common(['a.percent', 'b'])).toBe('')
    expect(common([])).toBe('')
  })
  it.each([[401.02, 'ms', '401 ms'], [1500, 'ms', '1.5 s'], [0, 'ms', '0'], [1536, 'B', '1.5 KiB'], [70.2, '%', '70.2 %'], [12345, '', '12.35 k']] as const)('%d %s is %s', (v, u, text) => {
    expect(quantity(v, u)).toBe(text)
  })
})
