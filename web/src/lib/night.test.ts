import { describe, expect, it } from 'vitest'
import type { Tonight, Visit } from './fleet'
import { outcome, since } from './night'

const quiet: Tonight = { from: '', until: '', visits: 24, quiet: 24, failed: [], changed: null, drifted: [], rebuilt: [], rollouts: [], drifts: [], late: [], pauses: null }
const visit: Visit = { id: 1, host: 'a', group: 'g', kind: 'converge', cause: 'schedule', state: 'failed', actor: 'steer', drift: 0, created: '' }

describe('the night', () => {
  it('is one sentence when it was quiet', () => {
    expect(outcome(quiet)).toBe('A quiet time: all 24 visits found everything as declared.')
    expect(outcome({ ...quiet, visits: 1 })).toBe('A quiet time: the one visit found everything as declared.')
    expect(outcome({ ...quiet, visits: 0 })).toBe('Nothing was visited in this time, and nothing is late.')
  })
  it('names what happened, failures first', () => {
    expect(outcome({ ...quiet, failed: [visit], changed: [visit, visit], late: [{ name: 'a', group: 'g', roles: [], made: false, state: 'failed', generation: 1, tests: 0, failing: 0, seen: '' }] })).toBe('24 visits: 1 failed, 2 brought a change, 1 host late.')
  })
  it.each([['24h', '2026-01-01T00:00:00.000Z'], ['7d', '2025-12-26T00:00:00.000Z'], [null, '2026-01-01T12:00:00.000Z'], ['odd', '2026-01-01T12:00:00.000Z']])('of %s began at %s', (range, at) => {
    expect(since(range, Date.parse('2026-01-02T00:00:00Z'))).toBe(at)
  })
})
