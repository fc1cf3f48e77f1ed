// One shift: its day, its hours, and who is called in which order.
import { ArrowDownOutlined, ArrowUpOutlined, DeleteOutlined } from '@ant-design/icons';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, Modal, Popconfirm, Select, TimePicker } from 'antd';
import dayjs from 'dayjs';
import customParseFormat from 'dayjs/plugin/customParseFormat';
import { useState } from 'react';
import { useDirectory, type DirectoryPost } from '../directory';
import { formatClock, formatDate } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { Problem } from '../parts/problem';
import { toast } from '../parts/toast';
import { removeShift, saveShift } from './data';
import { dayOf, periodOf, type Shift } from './week';

dayjs.extend(customParseFormat);

const HOURS = { day: ['08:00', '18:00'], night: ['18:00', '08:00'], whole: ['08:00', '08:00'] } as const;

interface DialogProps { date: string; shift: Shift | undefined; mayBeCalled: DirectoryPost[]; onClose: () => void }

export function ShiftDialog({ date, shift, mayBeCalled, onClose }: DialogProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const client = useQueryClient();
  const [from, setFrom] = useState<string>(shift ? formatClock(shift.start) : HOURS.whole[0]);
  const [to, setTo] = useState<string>(shift ? formatClock(shift.end) : HOURS.whole[1]);
  const [posts, setPosts] = useState(shift?.posts ?? []);
  const done = (said: string) => () => {
    void client.invalidateQueries({ queryKey: ['list', 'Schedule'] });
    toast.success(said);
    onClose();
  };
  const save = useMutation({ mutationFn: () => saveShift(shift?.id, { ...periodOf(shift ? dayOf(shift) : date, from, to), posts }), onSuccess: done(t('duty.saved')) });
  const drop = useMutation({ mutationFn: () => removeShift(shift?.id ?? ''), onSuccess: done(t('duty.removed')) });
  const move = (at: number, by: number) => setPosts((before) => {
    const next = [...before];
    const [one] = next.splice(at, 1);
    if (one) next.splice(at + by, 0, one);
    return next;
  });
  const kinds = Object.entries(HOURS);
  const kind = kinds.find(([, [first, last]]) => first === from && last === to)?.[0];
  return (
    <Modal open title={`${t(shift ? 'duty.edit' : 'duty.add')} · ${formatDate(date, language)}`} okText={t('duty.save')} confirmLoading={save.isPending} okButtonProps={{ disabled: posts.length === 0 }}
      onOk={() => save.mutate()} onCancel={onClose}>
      <div className="chips" role="group" aria-label={t('duty.kind')}>
        {kinds.map(([key, [first, last]]) => (
          <button key={key} type="button" className={`chip ${key === kind ? 'chip-on' : ''}`} aria-pressed={key === kind} onClick={() => { setFrom(first); setTo(last); }}>
            {t(`duty.kinds.${key}`)}
          </button>
        ))}
      </div>
      <div className="field-grid duty-hours">
        <ClockField id="from" label={t('duty.from')} value={from} onChange={setFrom} />
        <ClockField id="to" label={`${t('duty.to')}${to <= from ? t('duty.nextDayNote') : ''}`} value={to} onChange={setTo} />
      </div>
      <div className="field">
        <label className="field-label" htmlFor="called">{t('duty.who')}</label>
        <Select id="called" value={null} showSearch optionFilterProp="label" placeholder={t('duty.choose')} notFoundContent={t('duty.nobodyLeft')}
          onChange={(post: string | null) => post && setPosts((before) => [...before, post])}
          options={mayBeCalled.filter((post) => !posts.includes(`PractitionerRole/${post.id}`)).map((post) => ({ value: `PractitionerRole/${post.id}`, label: [post.name, post.specialty, post.title ? t(`title.${post.title}`) : ''].filter(Boolean).join(' · ') }))} />
      </div>
      <CallOrder posts={posts} onMove={move} onRemove={(id) => setPosts((before) => before.filter((one) => one !== id))} />
      {save.error ?? drop.error ? <Problem error={save.error ?? drop.error} /> : null}
      {shift ? (
        <Popconfirm title={t('duty.removeAsk')} okText={t('duty.remove')} onConfirm={() => drop.mutate()}>
          <Button danger type="text" icon={<DeleteOutlined />} loading={drop.isPending} data-action="remove-shift">{t('duty.remove')}</Button>
        </Popconfirm>
      ) : null}
    </Modal>
  );
}

function ClockField({ id, label, value, onChange }: { id: string; label: string; value: string; onChange: (value: string) => void }) {
  return (
    <div className="field">
      <label className="field-label" htmlFor={id}>{label}</label>
      <TimePicker id={id} value={dayjs(value, 'HH:mm')} format="HH:mm" minuteStep={30} allowClear={false} needConfirm={false} onChange={(picked) => picked && onChange(picked.format('HH:mm'))} />
    </div>
  );
}

function CallOrder({ posts, onMove, onRemove }: { posts: string[]; onMove: (at: number, by: number) => void; onRemove: (id: string) => void }) {
  const { t } = useTranslation();
  const directory = useDirectory();
  if (posts.length === 0) return <p className="hint">{t('duty.orderEmpty')}</p>;
  return (
    <>
      <p className="hint">{t('duty.orderHelp')}</p>
      <ol className="call-order">
        {posts.map((id, at) => {
          const name = directory.post(id)?.name ?? t('duty.gone');
          return (
            <li key={id}><div>
              <span>{name} <span className="cell-sub">{directory.post(id)?.phone}</span></span>
              <span className="call-order-tools">
                <Button size="small" type="text" icon={<ArrowUpOutlined />} disabled={at === 0} aria-label={t('duty.up', { name })} onClick={() => onMove(at, -1)} />
                <Button size="small" type="text" icon={<ArrowDownOutlined />} disabled={at === posts.length - 1} aria-label={t('duty.down', { name })} onClick={() => onMove(at, 1)} />
                <Button size="small" type="text" icon={<DeleteOutlined />} aria-label={t('duty.leaveOut', { name })} onClick={() => onRemove(id)} />
              </span>
            </div></li>
          );
        })}
      </ol>
    </>
  );
}
