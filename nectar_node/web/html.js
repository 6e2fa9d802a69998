// Preact with htm: what the other modules of a page import.

import htm from './vendor/htm.js';
import { h } from './vendor/preact.js';

export { Component, Fragment, render } from './vendor/preact.js';
export { useEffect, useMemo, useRef, useState } from './vendor/hooks.js';
export const html = htm.bind(h);
