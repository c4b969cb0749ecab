import { describe, expect, it } from 'vitest'
import type { Change, Visit } from './fleet'
import { byRole, compares, equal, kindWord, lines, newest, past, tally, why } from './plans'

const visit = (id: number, host: string, v: Partial<Visit> = {}): Visit => ({ id, host, group: 'web', kind: 'plan', cause: 'change', state: 'passed', commit: 'b', actor: 'steer', drift: 0, created: '', ...v })
const change = (ref: string, c: Partial<Change> = {}): Change => ({ ref, role: 'web', status: 'planned', action: 'update', fields: [{ name: 'mode', old: '0600', new: '0644' }], ...c })

describe('plans', () => {
  it('are the latest of each host for the commit', () => {
    const all = [visit(1, 'web-10'), visit(5, 'web-2'), visit(3, 'web-2'), visit(6, 'web-2', { commit: 'a' }), visit(7, 'web-2', { kind: 'converge' })]
    expect(newest(all, 'b').map((v) => v.id)).toEqual([5, 1])
  })
  it('that say the same are one', () => {
    const plans = equal([
      visit(1, 'web-1', { changes: [change('file:/a')] }), visit(2, 'web-2', { changes: [change('file:/a', { place: 'hosts.yaml:3' })] }),
      visit(3, 'web-3', { changes: [change('file:/a', { fields: [{ name: 'mode', old: '0700', new: '0644' }] })] }), visit(4, 'web-4', { changes: null }), visit(5, 'web-5', { changes: [] }),
      visit(6, 'web-6', { state: 'failed', error: 'no route' }),
    ])
    expect(plans.map((p) => p.hosts)).toEqual([['web-6'], ['web-1', 'web-2'], ['web-3'], ['web-4', 'web-5']])
  })
  it('are the same in another order', () => {
    const a = change('file:/a'), b = change('file:/b')
    expect(equal([visit(1, 'web-1', { changes: [a, b] }), visit(2, 'web-2', { changes: [b, a] }), visit(3, 'web-3', { changes: [b, b] })]).map((p) => p.hosts)).toEqual([['web-1', 'web-2'], ['web-3']])
  })
  it('differ when more was cut off from one', () => expect(equal([visit(1, 'a', { changes: [change('x')] }), visit(2, 'b', { changes: [change('x')], cut: 1 })])).toHaveLength(2))
  it('differ in each part of a change', () => {
    for (const other of [{ ref: 'file:/b' }, { role: 'base' }, { status: 'failed' }, { action: 'create' }, { why: 'x' }, { fields: null }, { fields: [{ name: 'mode', old: '0600', new: '0644', text: '+a' }] }]) {
      expect(equal([visit(1, 'a', { changes: [change('file:/a')] }), visit(2, 'b', { changes: [change('file:/a', other)] })])).toHaveLength(2)
    }
  })
})

it('groups changes by role, in their order, those of none last', () => {
  expect(byRole([change('a', { role: undefined }), change('b', { role: 'z' }), change('c', { role: 'base' }), change('d', { role: 'z' })]).map(([r, list]) => [r, list.map((c) => c.ref)])).toEqual([['z', ['b', 'd']], ['base', ['c']], ['', ['a']]])
})

it('sums a visit up, what failed first', () => {
  expect(tally({ ok: 40, skipped: 1, changed: 2, failed: 1, planned: 0 })).toBe('1 failed, 2 changed, 1 skipped, 40 as declared')
  expect(tally({ odd: 1, ok: 1 })).toBe('1 as declared, 1 odd')
  expect(tally(null)).toBe('')
})

it('says why a host was visited', () => {
  expect(why(visit(1, 'a'))).toBe('the definitions changed')
  expect(why(visit(1, 'a', { cause: 'person', actor: 'ada', reason: 'to see it' }))).toBe('ada: to see it')
  expect(why(visit(1, 'a', { cause: 'person', actor: 'ada' }))).toBe('ada asked for it')
})

it('tells the lines of a diff apart', () => {
  expect(lines('--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n same\n').map((l) => l.kind)).toEqual(['at', 'at', 'at', 'del', 'add', 'same'])
})

it('says how changes went before', () => {
  expect(past({ changes: 0, failed: 0, hosts: 0 })).toBe('never changed before')
  expect(past({ changes: 1, failed: 0, hosts: 1, took: 100 })).toBe('changed once before on 1 host, none failed')
  expect(past({ changes: 100, failed: 3, hosts: 7, took: 2e9 })).toBe('changed 100 times or more before on 7 hosts, 3 failed, takes 2.0 s')
})

it('says what was done to a host', () => {
  expect(['converge', 'stop', 'start', 'destroy', 'cut'].map((kind) => kindWord(visit(1, 'a', { kind })))).toEqual(['converged', 'stopped', 'started', 'destroyed', 'cut off'])
  expect(['converge', 'plan', 'start', 'stop', 'destroy'].filter((kind) => compares(visit(1, 'a', { kind })))).toEqual(['converge', 'plan', 'start'])
})
