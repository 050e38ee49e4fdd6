// The time of day as the pages write it: in the clinic's zone, which need not be that of whoever looks.
export const clock = (at = new Date()) =>
  new Date(at).toLocaleTimeString(document.documentElement.lang, { timeZone: document.documentElement.dataset.zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
