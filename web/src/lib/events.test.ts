import { describe, expect, it } from 'vitest'
import { kinds, markText, markTypes, relevant, said, step, tone, worthReason } from './events'
import { lanes, place } from './marks'
import { link, troubled } from './links'
import type { Event } from './records'

const event = (e: Partial<Event>): Event => ({ id: '1', type: '', subject: '', time: '', summary: '', actor: 'steer', seq: 1, source: '', ...e })

describe('events', () => {
  it('knows bad from good', () => {
    expect(tone({ type: 'dev.cdevents.incident.detected.0.3.0' })).toBe('bad')
    expect(tone({ type: 'dev.cdevents.service.rolledback.0.3.0' })).toBe('warn')
    expect(tone({ type: 'dev.cdevents.incident.resolved.0.3.0' })).toBe('ok')
    expect(tone({ type: 'dev.cdevents.taskrun.started.0.3.0' })).toBe('plain')
    expect(tone({ type: 'dev.cdevents.pipelinerun.finished.0.3.0', data: { outcome: 'failure' } })).toBe('bad')
    expect(tone({ type: 'dev.cdevents.pipelinerun.finished.0.3.0', data: { outcome: 'success' } })).toBe('plain')
  })
  it('takes every turning point of a chart for no mere step', () => {
    for (const type of markTypes) expect(step({ type })).toBe(false)
    expect(step({ type: 'dev.cdevents.taskrun.started.0.3.0' })).toBe(true)
    expect(step({ type: 'dev.cdeventsx.steer-node.died.0.1.0' })).toBe(false)
  })
  it('knows those of hosts', () => {
    const of = (name: string) => ({ type: `dev.cdeventsx.steer-${name}.0.1.0` })
    expect(['host.failed', 'host.unreachable', 'group.failed'].map((n) => tone(of(n)))).toEqual(['bad', 'bad', 'bad'])
    expect(['host.drifted', 'host.paused', 'host.rolledback', 'group.asks'].map((n) => tone(of(n)))).toEqual(['warn', 'warn', 'warn', 'warn'])
    expect(['host.changed', 'host.asked', 'host.resumed', 'group.begins'].map((n) => tone(of(n)))).toEqual(['plain', 'plain', 'plain', 'plain'])
    expect(['host/web-1', 'group/web', 'hosts'].map((subject) => link(event({ subject })))).toEqual(['/hosts/web-1', '/hosts/groups/web', '/hosts'])
  })
  it('leads from an incident to its host or group', () => {
    expect(troubled('host/web-1')).toEqual({ name: 'web-1', href: '/hosts/web-1' })
    expect(troubled('group/web')?.href).toBe('/hosts/groups/web')
    expect(troubled('drift/web-1/file:/etc/motd')?.href).toBe('/hosts/web-1')
    expect(troubled('erosion/web-1/disks')?.href).toBe('/hosts/web-1')
    expect(troubled('shop/slow')).toBe(undefined)
  })
  it('has each type in one kind only', () => {
    const all = kinds.flatMap((k) => k.types)
    expect(new Set(all).size).toBe(all.length)
  })
  it('shows reasons of people and of what is bad', () => {
    expect(worthReason(event({ reason: 'stage ci of run 1' }))).toBe(false)
    expect(worthReason(event({ reason: 'too slow', actor: 'ada' }))).toBe(true)
    expect(worthReason(event({ reason: 'too slow', summary: 'b1: too slow', actor: 'ada' }))).toBe(false)
  })
  it('leaves out marks of environments that no target is about', () => {
    const ci = event({ id: 'a', service: 'shop', environment: 'ci' }), live = event({ id: 'b', service: 'shop', environment: 'live' }), other = event({ id: 'c', service: 'cart', environment: 'live' })
    const all = [ci, live, other]
    expect(relevant(all, ['stats.timers.shop.live.ttfb'])).toEqual([live])
    expect(relevant(all, ['sumSeries(stats.shop.*.requests)'])).toEqual([ci, live])
    expect(relevant(all, ['stats.shop.live.x', 'servers.vm.load'])).toEqual(all)
    expect(relevant(all, [])).toEqual(all)
  })
  it('names marks no longer than needed', () => {
    const up = event({ type: 'dev.cdevents.service.upgraded.0.3.0', service: 'shop', environment: 'ci', version: 'b2' })
    const back = event({ type: 'dev.cdevents.service.rolledback.0.3.0', service: 'shop', environment: 'live', version: 'b1' })
    const bad = event({ type: 'dev.cdevents.incident.detected.0.3.0', subject: 'incident/7', service: 'shop', environment: 'live' })
    expect(markText(up, [up])).toBe('b2')
    expect(markText(back, [up, back])).toBe('back to b1 in live')
    expect(markText(bad, [up, bad])).toBe('incident 7')
  })
})

describe('labels of marks', () => {
  it('go down a staircase when they are close', () => {
    expect(place([{ x: 10, width: 50 }, { x: 20, width: 50 }, { x: 200, width: 50 }], 400).map((l) => l.lane)).toEqual([0, 1, 0])
  })
  it('stay inside, and never overlap on a lane', () => {
    const labels = place(Array.from({ length: 40 }, (_, i) => ({ x: i * 10, width: 30 + (i % 5) * 10 })), 400)
    expect(lanes(labels)).toBeLessThanOrEqual(4)
    const width = (i: number) => 30 + (i % 5) * 10
    labels.forEach((a, i) => {
      if (a.lane < 0) return
      expect(a.left + width(i)).toBeLessThanOrEqual(400)
      labels.forEach((b, j) => { if (j > i && b.lane === a.lane) expect(b.left).toBeGreaterThanOrEqual(a.left + width(i)) })
    })
  })
  it('are urgent first', () => expect(place([{ x: 0, width: 90 }, { x: 1, width: 90, urgent: true }], 100, 1).map((l) => l.lane)).toEqual([-1, 0]))
  it('are left out without room', () => expect(place([{ x: 0, width: 90 }, { x: 1, width: 90 }], 100, 1).map((l) => l.lane)).toEqual([0, -1]))
})

it('says of a reason what the summary has not said', () => {
  const of = (reason: string, actor = 'ada') => said(event({ summary: 'ada changed hosts.yaml: Scale pool from 1 to 2', reason, actor }))
  expect(of('Scale pool from 1 to 2\n\nmore visitors')).toBe('more visitors')
  expect(of('Scale pool from 1 to 2')).toBe('')
  expect(of('more visitors\nand more')).toBe('more visitors\nand more')
  expect(of('as planned', 'steer')).toBe('')
})
