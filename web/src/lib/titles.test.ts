import { describe, expect, it } from 'vitest'
import { refName, segments, title } from './titles'

describe('titles', () => {
  it.each([['/', 'Now'], ['/services/shop', 'shop'], ['/incidents', 'Incidents'], ['/dashboards', 'Dashboards'], ['/dashboards/shop', 'shop · Dashboards'], ['/incidents/7', 'Incident 7'], ['/runs/3', 'Run 3'], ['/hosts', 'Hosts'], ['/hosts/web-1', 'web-1 · Hosts'], ['/hosts/tonight', 'Tonight · Hosts'], ['/hosts/visits/7', 'Visit 7 · Hosts'], ['/hosts/groups/web', 'web · Hosts'], ['/roles', 'Roles'], ['/nowhere', 'No such page']])('%s is %s', (path, text) => {
    expect(title(segments(path), new URLSearchParams())).toBe(text)
  })
  it('says why', () => expect(title(['why'], new URLSearchParams('ref=incident/7'))).toBe('Why incident 7'))
  it.each([['version/shop/b2', 'shop b2'], ['shop/b2', 'shop b2'], ['commit/0123456789abcdef', 'commit 01234567'], ['deploy/4', 'deploy 4']])('%s reads %s', (ref, text) => expect(refName(ref)).toBe(text))
  it('survives a broken escape', () => expect(segments('/services/%zz')).toEqual(['services', '%zz']))
})
