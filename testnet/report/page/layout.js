"use strict";

/* Layout: from times to heights. Every moment with a shown event has a place of its own; events on one lane at the same
   moment are stacked. Gaps between moments grow with the logarithm of their time, so that
   microseconds and minutes can both be read; or, true to time, with the time itself. */

const STEP = { arrow: 14, cross: 14, words: 14, life: 15, rule: 17, saying: 15, band: 14, bar: 14, tick: 5, stub: 4, square: 5 };
const BUCKET = 512;
const MAX_HEIGHT = 8e6;
const LONG_GAP = 0.5;

/** Place all `items`: set `y` and `end` of each, and return how time and height correspond. */
function layOut(items, range, scale) {
  const points = pointsOf(items, range);
  const moments = scale.linear ? linearMoments(points, range, scale) : shortenedMoments(points, scale.zoom);
  place(points);
  const height = points.length ? moments[moments.length - 1].bottom + 40 : 0;
  return { moments, height, buckets: bucketsOf(items, height), inOrder: [...items].sort((a, b) => a.y - b.y || a.line - b.line) };
}

function pointsOf(items, range) {
  const points = [];
  for (const item of items) {
    points.push({ item, at: Math.max(item.at, range.from), lane: item.from, line: item.line, isEnd: false });
    if (item.until > item.at) {
      points.push({ item, at: Math.min(item.until, range.to), lane: item.to, line: lastLine(item), isEnd: true });
    }
  }
  return points.sort((a, b) => a.at - b.at || a.line - b.line);
}

function lastLine(item) {
  return item.row.lines ? item.row.lines[item.row.lines.length - 1] : item.line;
}

function shortenedMoments(points, zoom) {
  const moments = [];
  let [index, top] = [0, 12];
  while (index < points.length) {
    const moment = { at: points[index].at, top, bottom: top, gap: 0 };
    index = stack(points, index, moment, zoom);
    moments.push(moment);
    if (index < points.length) {
      moment.gap = points[index].at - moment.at;
      top = moment.bottom + zoom * shortened(moment.gap);
    }
  }
  return moments;
}

function shortened(gap) {
  return 3 + 6 * Math.log10(1 + gap / 1e-4) + (gap >= LONG_GAP ? 12 : 0);
}

/** Stack the events of one moment, lane by lane; return the index of the first point after it. */
function stack(points, index, moment, zoom) {
  const filled = new Map();
  while (index < points.length && points[index].at === moment.at) {
    const point = points[index];
    const y = filled.get(point.lane) ?? moment.top;
    point.y = y;
    filled.set(point.lane, y + zoom * STEP[point.item.shape]);
    moment.bottom = Math.max(moment.bottom, y + zoom * STEP[point.item.shape]);
    index += 1;
  }
  return index;
}

function linearMoments(points, range, scale) {
  const length = Math.max(range.to - range.from, 1e-9);
  const perSecond = Math.min(MAX_HEIGHT, scale.room * scale.zoom) / length;
  const moments = [];
  for (const point of points) {
    point.y = 12 + (point.at - range.from) * perSecond;
    const last = moments[moments.length - 1];
    if (!last || last.at !== point.at) moments.push({ at: point.at, top: point.y, bottom: point.y, gap: 0 });
  }
  return moments;
}

function place(points) {
  for (const { item, y, isEnd } of points) {
    if (!isEnd) item.y = y;
    item.end = y;
  }
}

/** Group items by stretches of height; items that span many of them are kept apart. */
function bucketsOf(items, height) {
  const buckets = Array.from({ length: Math.ceil(height / BUCKET) + 1 }, () => []);
  const long = [];
  for (const item of items) {
    const [first, last] = [Math.floor(item.y / BUCKET), Math.floor((item.end + 20) / BUCKET)];
    if (last - first > 8) long.push(item);
    else for (let index = first; index <= last; index += 1) buckets[index]?.push(item);
  }
  return { buckets, long };
}

function itemsBetween({ buckets: { buckets, long } }, top, bottom) {
  const found = new Set(long.filter((item) => item.end >= top && item.y <= bottom));
  const last = Math.min(buckets.length - 1, Math.floor(bottom / BUCKET));
  for (let index = Math.max(0, Math.floor(top / BUCKET)); index <= last; index += 1) {
    for (const item of buckets[index]) found.add(item);
  }
  return found;
}

/** Return the index of the last moment whose `key` is at most `value`, or -1. */
function lastMoment(moments, key, value) {
  let [low, high] = [0, moments.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (moments[middle][key] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function heightAt({ moments }, at) {
  const index = lastMoment(moments, "at", at);
  if (index < 0) return 0;
  const [moment, next] = [moments[index], moments[index + 1]];
  if (!next || moment.at === at) return moment.top;
  return moment.bottom + ((next.top - moment.bottom) * (at - moment.at)) / (next.at - moment.at);
}

function timeAt({ moments }, y) {
  if (!moments.length) return 0;
  const index = Math.max(0, lastMoment(moments, "top", y));
  const [moment, next] = [moments[index], moments[index + 1]];
  if (!next || y <= moment.bottom) return moment.at;
  return moment.at + ((next.at - moment.at) * (y - moment.bottom)) / (next.top - moment.bottom);
}
