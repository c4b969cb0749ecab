import { expect, test } from 'vitest'
import { along, before, between, percent, refPage, share, told, type Cell } from './signs'

test('what a figure was made from has a page', () => {
  expect(refPage('incident/7')).toBe('/incidents/7')
  expect(refPage('host/web-1.example.com')).toBe('/hosts/web-1.example.com')
  expect(refPage('deploy/12', 'e')).toBe('/why?ref=deploy%2F12')
  expect(refPage('definitions/abc', 'event')).toBe('/why?ref=event')
  expect(refPage('token/ada')).toBe('/journal?subject=token%2Fada')
})

test('shares and times between failures in words', () => {
  expect(percent(null)).toBe('–')
  expect(share({ part: 1, of: 3, rate: 1 / 3, before: null })).toBe('33 % of 3')
  expect(share({ part: 0, of: 0, rate: null, before: null })).toBe('–')
  expect(before('–')).toBe('nothing before')
  expect(between(null, 30 * 86400)).toBe('none in 30 d')
  expect(between(null, 0)).toBe('–')
  expect(between(7200, 86400)).toBe('2 h')
})

test('an hour of the week in words', () => {
  const cell: Cell = { weekday: 5, hour: 3, work: false, people: 1, automatic: 2, incidents: 0, newest: [] }
  expect(told(cell)).toBe('Saturday 03:00: 3 changes (1 by people, 2 automatic)')
  expect(told({ ...cell, people: 0, automatic: 0, incidents: 1 })).toBe('Saturday 03:00: 1 incident')
})

test('durations lie on a scale of powers', () => {
  expect(along(0, 1000)).toBe(0)
  expect(along(1000, 1000)).toBe(100)
  expect(along(10, 1000)).toBe(50)
  expect(along(5, 0)).toBe(0)
})
