// A real Chromium, and what is watched in it all the time: errors on the console
// and requests to other hosts.

import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync']

export const executable = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

export async function openBrowser() {
  return chromium.launch({ executablePath: executable, args: flags })
}

// trouble is everything that no page may do. A check that provokes an error says
// so with expecting.
export class Watch {
  trouble = []
  expected = []
  constructor(origin) { this.origin = origin }

  page(page) {
    page.on('console', (m) => { if (m.type() === 'error') this.add(`console: ${m.text()} (${m.location().url})`) })
    page.on('pageerror', (e) => this.add(`error on the page: ${e.message}`))
    page.on('request', (r) => {
      const url = r.url()
      if (!url.startsWith(this.origin) && !/^(data|blob|about):/.test(url)) this.add(`request to another host: ${url}`)
    })
    page.on('response', (r) => { if (r.status() >= 500) this.add(`${r.status()} from ${r.url()}`) })
  }

  add(text) { if (!this.expected.some((e) => e.test(text))) this.trouble.push(text) }

  // expecting lets one kind of trouble pass while f runs.
  async expecting(pattern, f) {
    this.expected.push(pattern)
    try { return await f() } finally { this.expected = this.expected.filter((e) => e !== pattern) }
  }
}

// settled waits until the page shows its content and asks for no more of it; live
// streams stay open, so the network is never idle.
export async function settled(page) {
  await page.locator('main').first().waitFor()
  await page.waitForFunction(() => !document.body.innerText.includes('Loading …'))
  await page.waitForTimeout(250) // charts draw in the next frames
}
