import { expect, test } from 'vitest'
import { mark, percent, proof, said } from './followup'

test('evidence leads to the page that shows it', () => {
  expect(proof('run/12/acceptance')).toBe('/runs/12?stage=acceptance')
  expect(proof('deploy/14')).toBe('/why?ref=deploy%2F14')
  expect(proof('check/catalog/slow')).toBe('/services/catalog')
  expect(proof('check/all-hosts')).toBe('/journal?subject=check%2Fall-hosts')
  expect(proof('visit/3')).toBe('/hosts/visits/3')
  expect(proof('definitions/abc')).toBe('/journal?subject=definitions%2Fabc')
  expect(proof('https://example.com/x')).toBe('https://example.com/x')
  expect(proof('javascript:alert(1)')).toBe('/journal?subject=javascript%3Aalert(1)')
})

test('steps say how they came to their state', () => {
  const step = { name: 'test', title: 'A test' }
  expect(said({ ...step, state: 'confirmed', by: 'ada' })).toBe('found by Steer, confirmed by ada')
  expect(said({ ...step, state: 'waived', by: 'ada' })).toBe('waived by ada')
  expect([mark({ ...step, state: 'open' }), mark({ ...step, state: 'found' }), mark({ ...step, state: 'waived' })]).toEqual(['pending', 'done', 'off'])
  expect([percent(null), percent(0.625)]).toEqual(['–', '63 %'])
})
