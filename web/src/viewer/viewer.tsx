// The slice viewer. Slices come rendered from the server, so it works on any browser and on a weak line; when the
// picture was compressed with loss it says that it is not for diagnosis.
import {
  ColumnHeightOutlined, DragOutlined, ExpandOutlined, FormatPainterOutlined, LinkOutlined, LoadingOutlined, MinusOutlined, PlusOutlined,
} from '@ant-design/icons';
import { Button, Select, Slider, Switch, Tooltip } from 'antd';
import { useEffect, useRef, useState, type PointerEvent as ReactPointerEvent, type ReactNode } from 'react';
import type { ImagingStudy, Patient } from '../fhir-types';
import { genderKey, patientName } from '../consult/texts';
import { formatAge, formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { studyUid } from '../names';
import { copyText } from '../parts/file';
import { Loading } from '../parts/loading';
import { Problem } from '../parts/problem';
import { toast } from '../parts/toast';
import { useGestures, type Tool } from './gestures';
import { usePicture, type QualityChoice } from './picture';
import { PRESETS, presetOf } from './presets';
import { isLossy, type Window } from './slices';
import { pictureBox, useLead, type ViewPlace } from './lead';
import { Thumbnail } from './thumbnail';
import { nearestSlice, useSliceStack } from './stack';

export interface SlicePlace { seriesUid: string; sliceUid: string; number: number; position: number | undefined }

/** What a viewer beside goes along with: the way through the body in millimetres, and the window. */
export interface Followed { position: number | undefined; window: Window }

/** A slice to go to; without a series it is sought in the one that is open. */
export interface SliceAim { seriesUid?: string; sliceUid: string }

/** The slice that a link names. */
export function aimOf(query: URLSearchParams): SliceAim | undefined {
  const sliceUid = query.get('slice');
  return sliceUid ? { seriesUid: query.get('series') ?? undefined, sliceUid } : undefined;
}

interface ViewerProps {
  study: ImagingStudy;
  patient: Patient | undefined;
  /** Whether a measurement exists whose mask can be laid over the picture. */
  hasOverlay: boolean;
  overlay: boolean;
  onOverlay: (on: boolean) => void;
  /** A slice that somebody pointed at; a new object moves the viewer there. */
  target?: SliceAim | undefined;
  onPlace?: (place: SlicePlace) => void;
  onWindow?: (window: Window) => void;
  /** Address of a slice, for a link to it. */
  linkOf?: (place: SlicePlace) => string;
  /** Where a colleague stands who shows his images; a new object moves the viewer there. */
  lead?: ViewPlace | undefined;
  /** Where this one stands, with the hand on the picture. */
  onView?: ((place: ViewPlace) => void) | undefined;
  /** The reader has taken the picture into his own hand. */
  onOwn?: (() => void) | undefined;
  /** This one stands beside another and goes along with it; the keys belong to the other. */
  follow?: Followed | undefined;
  /** What stands at the end of the bar. */
  extra?: ReactNode;
}

const ZOOM_MAX = 8;
const WINDOW_PER_PIXEL = 4;
const PAGE = 10;
const SETTLE_MS = 90;

export function Viewer({ study, patient, hasOverlay, overlay, onOverlay, target, onPlace, onWindow, linkOf, lead, onView, onOwn, follow, extra }: ViewerProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const uid = studyUid(study) ?? '';
  const seriesList = (study.series ?? []).filter((series) => (series.numberOfInstances ?? 1) > 0);
  const largest = seriesList.reduce((best, series) => ((series.numberOfInstances ?? 0) > (best?.numberOfInstances ?? -1) ? series : best), seriesList[0]);
  const [seriesUid, setSeriesUid] = useState<string>();
  const series = seriesList.find((one) => one.uid === seriesUid) ?? largest;
  const { data: stack, error: stackError, refetch } = useSliceStack(uid, series?.uid);

  const stage = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [index, setIndex] = useState(0);
  const [tool, setTool] = useState<Tool>('scroll');
  const [windowNow, setWindowNow] = useState<Window>(PRESETS[0]?.window ?? { center: 0, width: 2000 });
  const [choice, setChoice] = useState<QualityChoice>('auto');
  const [place, setPlace] = useState({ zoom: 1, x: 0, y: 0 });
  const settled = useSettled(windowNow, SETTLE_MS);
  const count = stack?.slices.length ?? 0;
  const base = series ? `/dicom-web/studies/${uid}/series/${series.uid}` : '';
  const picture = usePicture({ canvas, base, stack, index, window: settled, overlay: overlay && hasOverlay, choice });

  useStart(stack, series?.modality.code, setIndex, setWindowNow);
  useEffect(() => {
    if (target?.seriesUid) setSeriesUid(target.seriesUid);
  }, [target]);
  useEffect(() => {
    const at = target && (!target.seriesUid || series?.uid === target.seriesUid) ? stack?.slices.findIndex((slice) => slice.uid === target.sliceUid) : undefined;
    if (at !== undefined && at >= 0) setIndex(at);
  }, [target, stack, series?.uid]);
  const slice = stack?.slices[index];
  useEffect(() => {
    if (slice && series) onPlace?.({ seriesUid: series.uid, sliceUid: slice.uid, number: index + 1, position: slice.position });
  }, [slice, series, index, onPlace]);
  useEffect(() => onWindow?.(windowNow), [windowNow, onWindow]);
  useFollow(follow, stack, setIndex, setWindowNow);
  const cursor = useLead({ lead, stack, seriesUid: series?.uid, stage, canvas }, { setSeriesUid, setIndex, setWindow: setWindowNow, setPlace });
  const view = useRef<ViewPlace>(undefined);
  useEffect(() => {
    if (!slice || !series || !onView) return;
    const box = pictureBox(stage.current, canvas.current);
    view.current = { series: series.uid, slice: slice.uid, center: windowNow.center, width: windowNow.width, zoom: place.zoom, x: place.x / box.width, y: place.y / box.height };
    onView(view.current);
  }, [slice, series, windowNow, place, onView]);
  const point = (event: ReactPointerEvent) => {
    const { current } = stage;
    if (!onView || !view.current || !current) return;
    const rect = current.getBoundingClientRect();
    const box = pictureBox(current, canvas.current);
    const at = (away: number, moved: number, size: number) => (away - moved) / (size * place.zoom) + 0.5;
    onView({ ...view.current, atX: at(event.clientX - rect.left - rect.width / 2, place.x, box.width), atY: at(event.clientY - rect.top - rect.height / 2, place.y, box.height) });
  };

  const step = (by: number) => setIndex((now) => Math.max(0, Math.min(count - 1, now + by)));
  const zoom = (factor: number) =>
    setPlace((now) => {
      const next = Math.max(1, Math.min(ZOOM_MAX, now.zoom * factor));
      return next === 1 ? { zoom: 1, x: 0, y: 0 } : { ...now, zoom: next };
    });
  const changeWindow = (dx: number, dy: number) =>
    setWindowNow((now) => ({ center: now.center + dy * WINDOW_PER_PIXEL, width: Math.max(1, now.width + dx * WINDOW_PER_PIXEL) }));
  useGestures(stage, tool, { step, zoom, window: changeWindow, move: (dx, dy) => setPlace((now) => ({ ...now, x: now.x + dx, y: now.y + dy })) });
  useViewerKeys({
    step, zoom,
    first: () => setIndex(0),
    last: () => setIndex(Math.max(0, count - 1)),
    preset: (at) => PRESETS[at] && setWindowNow(PRESETS[at].window),
    reset: () => setPlace({ zoom: 1, x: 0, y: 0 }),
    overlay: () => hasOverlay && onOverlay(!overlay),
  }, follow === undefined, onOwn);

  const tools: { tool: Tool; icon: React.ReactNode }[] = [
    { tool: 'scroll', icon: <ColumnHeightOutlined /> },
    { tool: 'window', icon: <FormatPainterOutlined /> },
    { tool: 'move', icon: <DragOutlined /> },
  ];
  const preset = presetOf(windowNow);
  const copyLink = async (address: string) =>
    void ((await copyText(address)) ? toast.success(t('viewer.linkCopied')) : toast.warning(t('daily.copyFailed')));

  return (
    <section className="viewer" aria-label={t('viewer.title')} onPointerDownCapture={onOwn} onWheelCapture={onOwn}>
      <div className="viewer-bar">
        {seriesList.length > 1 ? (
          <div className="viewer-series" role="radiogroup" aria-label={t('viewer.series')}>
            {seriesList.map((one) => (
              <button key={one.uid} type="button" role="radio" aria-checked={one === series} onClick={() => setSeriesUid(one.uid)}>
                <Thumbnail study={study} series={one} />
                <span>{[one.number, one.description ?? one.modality.code].filter(Boolean).join(' ')}<br />{t('viewer.images', { n: one.numberOfInstances ?? 0 })}</span>
              </button>
            ))}
          </div>
        ) : null}
        <div className="viewer-tools" role="group" aria-label={t('viewer.tools')}>
          {tools.map((one) => (
            <Tooltip key={one.tool} title={t(`viewer.tool.${one.tool}`)}>
              <Button size="small" type={tool === one.tool ? 'primary' : 'text'} icon={one.icon} aria-pressed={tool === one.tool}
                aria-label={t(`viewer.tool.${one.tool}`)} onClick={() => setTool(one.tool)} />
            </Tooltip>
          ))}
          <Button size="small" type="text" icon={<PlusOutlined />} aria-label={t('viewer.zoomIn')} onClick={() => zoom(1.25)} />
          <Button size="small" type="text" icon={<MinusOutlined />} aria-label={t('viewer.zoomOut')} onClick={() => zoom(0.8)} />
          <Button size="small" type="text" icon={<ExpandOutlined />} aria-label={t('viewer.fit')} onClick={() => setPlace({ zoom: 1, x: 0, y: 0 })} />
        </div>
        <Select size="small" className="viewer-preset" aria-label={t('viewer.preset')} value={preset ?? 'free'}
          onChange={(key: string) => setWindowNow(PRESETS.find((one) => one.key === key)?.window ?? windowNow)}
          options={[
            ...PRESETS.map((one, at) => ({ value: one.key, label: `${at + 1} ${t(`viewer.presets.${one.key}`)}` })),
            ...(preset ? [] : [{ value: 'free', label: t('viewer.presets.free') }]),
          ]} />
        <Select size="small" className="viewer-quality" aria-label={t('viewer.quality')} value={choice} onChange={setChoice}
          options={(['auto', 'high', 'medium', 'low'] as const).map((value) => ({ value, label: t(`viewer.qualities.${value}`) }))} />
        {hasOverlay ? (
          <label className="viewer-overlay"><Switch size="small" checked={overlay} onChange={onOverlay} /> {t('viewer.overlay')}</label>
        ) : null}
        {linkOf && slice && series ? (
          <Button size="small" type="text" icon={<LinkOutlined />} title={t('viewer.link')} aria-label={t('viewer.link')} data-action="link"
            onClick={() => void copyLink(linkOf({ seriesUid: series.uid, sliceUid: slice.uid, number: index + 1, position: slice.position }))} />
        ) : null}
        {extra}
      </div>
      <div className={`viewer-stage tool-${tool}`} ref={stage} tabIndex={0} role="group" aria-label={t('viewer.stage')} onPointerMove={point}>
        <canvas ref={canvas} className={picture.loading ? 'is-loading' : ''} role="img"
          aria-label={t('viewer.slice', { n: index + 1, of: count })}
          style={{ transform: `translate(${place.x}px, ${place.y}px) scale(${place.zoom})` }} />
        {cursor ? <span className="lead-cursor" style={cursor} aria-hidden /> : null}
        {stackError ? <div className="viewer-message"><Problem error={stackError} retry={() => void refetch()} /></div> : null}
        {picture.error ? <div className="viewer-message"><Problem error={picture.error} retry={picture.retry} /></div> : null}
        {!stack && !stackError ? <div className="viewer-message"><Loading what={t('viewer.loadingSeries')} /></div> : null}
        <div className="corner corner-tl">
          <div>{patientName(patient)} {t(genderKey(patient))} {formatAge(patient?.birthDate, language)}</div>
          <div>{formatTime(study.started, language)}</div>
        </div>
        <div className="corner corner-tr">
          <div>{[series?.modality.code, series?.description ?? study.description].filter(Boolean).join(' · ')}</div>
          {isLossy(picture.quality) ? <div className="not-diagnostic">{t('viewer.lossy')}</div> : null}
          {overlay && hasOverlay ? <div>{t('viewer.overlayNote')}</div> : null}
        </div>
        <div className="corner corner-bl">
          <div aria-live="off">{index + 1} / {count} {picture.loading && stack ? <LoadingOutlined aria-label={t('common.loading')} /> : null}</div>
          <div>{slice?.position !== undefined ? `${slice.position.toFixed(1)} mm` : ''}{stack?.thickness ? ` · ${t('viewer.thickness')} ${stack.thickness} mm` : ''}</div>
        </div>
        <div className="corner corner-br">
          <div>W {Math.round(windowNow.width)} L {Math.round(windowNow.center)}</div>
          <div>{Math.round(place.zoom * 100)}%</div>
        </div>
      </div>
      <Slider className="viewer-slider" min={1} max={Math.max(1, count)} value={index + 1} disabled={count < 2}
        onChange={(value) => setIndex(value - 1)} ariaLabelForHandle={t('viewer.sliderLabel')} tooltip={{ open: false }} />
      {follow ? null : <p className="keys-note" aria-hidden="true">{t('viewer.keys', { page: PAGE })}</p>}
    </section>
  );
}

/** A new series begins in its middle, in the window of its kind: the lung for a CT, its own for anything else. */
function useStart(
  stack: ReturnType<typeof useSliceStack>['data'],
  modality: string | undefined,
  setIndex: (index: number) => void,
  setWindow: (window: Window) => void,
): void {
  useEffect(() => {
    if (!stack) return;
    setIndex(Math.floor(stack.slices.length / 2));
    if (modality !== 'CT' && stack.window) setWindow(stack.window);
  }, [stack, modality, setIndex, setWindow]);
}

/** Goes as many millimetres as the other went: two scans of one body seldom begin at the same place. */
function useFollow(
  follow: Followed | undefined,
  stack: ReturnType<typeof useSliceStack>['data'],
  setIndex: (change: (index: number) => number) => void,
  setWindow: (window: Window) => void,
): void {
  const before = useRef<number>(undefined);
  const position = follow?.position;
  useEffect(() => {
    const moved = position !== undefined && before.current !== undefined ? position - before.current : 0;
    before.current = position;
    if (!stack || moved === 0) return;
    setIndex((now) => nearestSlice(stack, (stack.slices[now]?.position ?? 0) + moved, now));
  }, [position, stack, setIndex]);
  const window = follow?.window;
  useEffect(() => {
    if (window) setWindow(window);
  }, [window, setWindow]);
}

function useSettled<T>(value: T, milliseconds: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(value), milliseconds);
    return () => window.clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

interface KeyActions {
  step: (by: number) => void;
  zoom: (factor: number) => void;
  first: () => void;
  last: () => void;
  preset: (index: number) => void;
  reset: () => void;
  overlay: () => void;
}

function useViewerKeys(actions: KeyActions, listening: boolean, onOwn: (() => void) | undefined): void {
  useEffect(() => {
    if (!listening) return;
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (target.closest('input,textarea,select,[contenteditable],[role=slider],[role=tab],[role=dialog]')) return;
      const keys: Record<string, () => void> = {
        ArrowDown: () => actions.step(1), ArrowRight: () => actions.step(1),
        ArrowUp: () => actions.step(-1), ArrowLeft: () => actions.step(-1),
        PageDown: () => actions.step(PAGE), PageUp: () => actions.step(-PAGE),
        Home: actions.first, End: actions.last, '+': () => actions.zoom(1.25), '=': () => actions.zoom(1.25),
        '-': () => actions.zoom(0.8), '0': actions.reset, o: actions.overlay,
      };
      if (/^[1-6]$/.test(event.key)) keys[event.key] = () => actions.preset(Number(event.key) - 1);
      const action = keys[event.key];
      if (!action) return;
      event.preventDefault();
      onOwn?.();
      action();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  });
}
