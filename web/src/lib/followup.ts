// From an incident to an improvement: words and links.

import type { Followup, FollowupStep } from './records'

// words are the states of the whole for people, with the look that goes with each.
export const words: Record<Followup['state'], { text: string; look: string }> = {
  following: { text: 'on the way', look: 'pending' },
  complete: { text: 'all steps done', look: 'done' },
  without: { text: 'ended without', look: 'warn' },
  waived: { text: 'waived', look: 'off' },
  returned: { text: 'came back', look: 'critical' },
}

// progress counts the steps.
export const progress = (f: Followup): string => `${f.done} of ${f.steps.length} steps${f.waived ? `, ${f.waived} waived` : ''}`

// mark is the look of a step.
export const mark = (s: FollowupStep): string => s.state === 'open' ? 'pending' : s.state === 'waived' ? 'off' : 'done'

// said tells how a step came to its state.
export function said(s: FollowupStep): string {
  switch (s.state) {
    case 'found': return 'found by Steer'
    case 'confirmed': return `found by Steer, confirmed by ${s.by}`
    case 'given': return `given by ${s.by}`
    case 'waived': return `waived by ${s.by}`
    default: return 'open'
  }
}

// proof is the page that shows evidence.
export function proof(ref: string): string {
  if (/^https?:\/\//.test(ref)) return ref
  const [kind = '', name = '', more = ''] = ref.split('/')
  switch (kind) {
    case 'run': return `/runs/${name}${more ? `?stage=${encodeURIComponent(more)}` : ''}`
    case 'deploy': case 'commit': return `/why?ref=${encodeURIComponent(ref)}`
    case 'check': return more ? `/services/${encodeURIComponent(name)}` : `/journal?subject=${encodeURIComponent(ref)}`
    case 'visit': return `/hosts/visits/${name}`
    case 'host': return `/hosts/${encodeURIComponent(name)}`
    default: return `/journal?subject=${encodeURIComponent(ref)}`
  }
}

// examples are what evidence of a step looks like.
export const examples: Record<string, string> = {
  'quick-fix': 'deploy/14, host/web-1 or an address',
  check: 'check/catalog/slow, visit/3 or an address',
  test: 'run/12/acceptance, visit/3 or an address',
  fix: 'deploy/14, commit/SHA, definitions/SHA or an address',
  'test-passes': 'run/13/acceptance, visit/4 or an address',
  'check-passes': 'check/catalog/slow, visit/4 or an address',
}

export const percent = (rate: number | null): string => rate === null ? '–' : `${Math.round(rate * 100)} %`
