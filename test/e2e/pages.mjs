// What every page must be: accessible in both themes, and no wider than a phone.

import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert, check } from './check.mjs'
import { settled } from './browser.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

// Pictures of all pages lie beside this file, to look at after a failure; those
// of the README in the folder STEER_SCREENSHOTS, from the root of the repository.
const out = join(here, 'out')
const readme = process.env.STEER_SCREENSHOTS && resolve(here, '../..', process.env.STEER_SCREENSHOTS)
const shown = ['now', 'service', 'metrics', 'incident', 'journal-dark', 'now-dark', 'now-phone']
for (const folder of [out, readme]) if (folder) mkdirSync(folder, { recursive: true })

async function picture(page, name) {
  const file = join(out, `${name}.png`)
  await page.screenshot({ path: file })
  if (readme && shown.includes(name)) copyFileSync(file, join(readme, `${name}.png`))
}

// Name, address, and what trouble there may be.
export const list = [
  ['now', '/'],
  ['service', '/services/catalog'],
  ['run', '/runs/1'],
  ['metrics', '/explore?target=stats.timers.catalog.production.ttfb.upper_90&from=-2min&bound=300'],
  ['explorer', '/explore?target=stats.timers.catalog.production.ttfb.upper_90&target=secondYAxis(stats.balance.production.catalog.*.requests)&target=wrong(&from=-5min&areaMode=all&title=Latency+and+requests', /400/],
  ['dashboards', '/dashboards'],
  ['dashboard', '/dashboards/steer?from=-5min'],
  ['incidents', '/incidents'],
  ['incident', '/incidents/1'],
  ['why', '/why?ref=incident/1'],
  ['journal', '/journal'],
  ['signs', '/hosts/signs'],
]

export async function eachPage(browser, url, state, watch, pages = list) {
  for (const theme of ['light', 'dark']) {
    const context = await browser.newContext({ storageState: state, colorScheme: theme, viewport: { width: 1280, height: 860 } })
    const page = await context.newPage()
    watch.page(page)
    for (const [name, path, trouble] of pages) {
      await check(`${name} in ${theme}: axe finds nothing`, async () => {
        await open(page, url + path, watch, trouble)
        await picture(page, theme === 'light' ? name : `${name}-dark`)
        await accessible(page)
        if (theme === 'light') { // and on a tablet, where the menu gets a line of its own
          await page.setViewportSize({ width: 760, height: 900 })
          assert.deepEqual(await sticksOut(page), [])
          await page.setViewportSize({ width: 1280, height: 860 })
        }
      })
    }
    await context.close()
  }
  const context = await browser.newContext({ storageState: state, ...phone })
  const page = await context.newPage()
  watch.page(page)
  for (const [name, path, trouble] of pages) {
    await check(`${name} on a phone: nothing sticks out`, async () => {
      await open(page, url + path, watch, trouble)
      await picture(page, `${name}-phone`)
      assert.deepEqual(await sticksOut(page), [])
    })
  }
  await context.close()
}

export const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }

// sticksOut names what makes a page wider than its screen.
export const sticksOut = (page) => page.evaluate(() => {
  const root = document.scrollingElement
  const most = Math.min(innerWidth, screen.width) // a page that is too wide widens innerWidth
  if (root.scrollWidth <= most) return []
  return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > most + 1 && !e.closest('.scroll'))
    .slice(0, 5).map((e) => `${e.tagName.toLowerCase()}.${e.className} "${(e.textContent ?? '').trim().slice(0, 40)}"`)
    .concat(`page ${root.scrollWidth} px wide`)
})

// open shows a page; some trouble may be part of it.
async function open(page, address, watch, trouble) {
  const go = async () => { await page.goto(address); await settled(page) }
  await (trouble ? watch.expecting(trouble, go) : go())
}

// accessible fails for violations that hinder people.
export async function accessible(page) {
  await page.evaluate(axe)
  const found = await page.evaluate(async () => {
    const r = await window.axe.run(document, { resultTypes: ['violations'] })
    return r.violations.filter((v) => v.impact !== 'minor')
      .map((v) => `${v.impact} ${v.id}: ${v.help}: ${v.nodes.slice(0, 4).map((n) => `${n.target.join(' ')} (${(n.any[0]?.message ?? '').slice(0, 140)})`).join(' | ')}`)
  })
  assert.deepEqual(found, [])
}
