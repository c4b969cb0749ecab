// What was done to hosts in some time, as a person reads it in the morning.

import { many } from './inventory'
import type { Tonight } from './fleet'

export const ranges = [['12h', 'last 12 hours'], ['24h', '24 hours'], ['7d', '7 days']] as const

// since is when a range began; an unknown one is the first.
export function since(range: string | null, now: number): string {
  const hours = { '24h': 24, '7d': 168 }[range ?? ''] ?? 12
  return new Date(now - hours * 3600_000).toISOString()
}

// outcome is the night in one sentence.
export function outcome(t: Tonight): string {
  const n = (list: unknown[] | null) => list?.length ?? 0
  const found = [
    n(t.failed) ? `${n(t.failed)} failed` : '',
    n(t.drifted) ? `${n(t.drifted)} met drift` : '',
    n(t.changed) ? `${n(t.changed)} brought a change` : '',
    n(t.rebuilt) ? many(n(t.rebuilt), 'host') + ' rebuilt' : '',
    n(t.drifts) ? many(n(t.drifts), 'drift') + ' still open' : '',
    n(t.rollouts) ? many(n(t.rollouts), 'change') + ' not done yet' : '',
    n(t.late) ? many(n(t.late), 'host') + ' late' : '',
    n(t.pauses) ? many(n(t.pauses), 'pause') : '',
  ].filter(Boolean)
  if (found.length) return `${many(t.visits, 'visit')}: ${found.join(', ')}.`
  if (t.visits === 0) return 'Nothing was visited in this time, and nothing is late.'
  return `A quiet time: ${t.visits === 1 ? 'the one visit' : `all ${t.visits} visits`} found everything as declared.`
}
