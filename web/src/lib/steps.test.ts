import { expect, it } from 'vitest'
import { merged } from './steps'

it('merges repeated steps and keeps the time they took together', () => {
  const s = (name: string, second: number) => ({ name, state: 'passed', at: `2026-01-01T00:00:0${second}Z`, took: 0.5 })
  const m = merged([s('start', 0), s('switch', 1), s('switch', 2), s('switch', 3), s('stop', 4)])
  expect(m.map((x) => [x.name, x.times])).toEqual([['start', 1], ['switch', 3], ['stop', 1]])
  expect(m[1]!.took).toBe(2.5)
})
