import { describe, expect, it } from 'vitest'
import { ago, ahead, baseSha, between, brief, clock, duration, gap, moment, number, shortSha, zone } from './format'

describe('duration', () => {
  it.each([[0.25, '250 ms'], [3.14, '3.1 s'], [90, '90 s'], [600, '10 min'], [7200, '2 h'], [172800, '2 d'], [-5, '0 ms']])('%d s is %s', (s, text) => {
    expect(duration(s)).toBe(text)
  })
})

describe('number', () => {
  it.each([[0, '0'], [1234, '1234'], [12345, '12.35 k'], [1234567, '1.235 M'], [0.0001, '1.00e-4'], [99.95, '99.95'], [-2e9, '-2 G']])('%d is %s', (v, text) => {
    expect(number(v)).toBe(text)
  })
  it('shows missing values as a dash', () => expect(number(null)).toBe('–'))
})

it('makes one line of several, and cuts a long one', () => {
  expect(brief('ended with code 3:\n  it stumbled\n')).toBe('ended with code 3: it stumbled')
  expect(brief('abcdef', 4)).toBe('abc…')
})

describe('times', () => {
  it('counts from now', () => expect(ago('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:01:00Z'))).toBe('60 s ago'))
  it('counts whole seconds', () => expect(ago('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:00:05.4Z'))).toBe('5 s ago'))
  it('is empty for a time that never was', () => expect(ago('0001-01-01T00:00:00Z', 0)).toBe(''))
  it('says when something comes', () => {
    const now = Date.parse('2026-01-01T00:00:00Z')
    expect(ahead('2026-01-01T00:30:00Z', now)).toBe('in 30 min')
    expect(ahead('2026-01-01T00:00:45Z', now)).toBe('in 45 s')
    expect(ahead('2025-12-31T00:00:00Z', now)).toBe('due now')
    expect(ahead(undefined, now)).toBe('')
  })
  it('counts what went by', () => {
    expect(gap('2026-01-01T00:00:00Z', '2026-01-01T00:00:01.54Z')).toBe('+1.5 s')
    expect(gap('2026-01-01T00:00:00Z', '2026-01-01T00:00:00.05Z')).toBe('')
    expect(gap(undefined, '2026-01-01T00:00:00Z')).toBe('')
  })
  it('measures a span', () => expect(between('2026-01-01T00:00:00Z', '2026-01-01T00:00:02.5Z')).toBe('2.5 s'))
})

it('names commits', () => {
  expect(shortSha('0123456789abcdef')).toBe('01234567')
  expect(shortSha('0123456789abcdef+web-base@fedcba9876543210')).toBe('01234567+web-base@fedcba98')
  expect(shortSha('')).toBe('')
  expect(baseSha('0123+web@4567')).toBe('0123')
})

it('tells a time that stands alone with its zone', () => {
  const time = '2026-01-02T03:04:05Z'
  expect(zone(new Date(time))).not.toBe('')
  expect(moment(time)).toBe(`${clock(time)} ${zone(new Date(time))}`)
  expect(moment(undefined)).toBe('')
  expect(moment('0001-01-01T00:00:00Z')).toBe('')
})
