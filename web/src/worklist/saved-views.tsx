// Views of the list kept by name: a tab and an urgency, never what was searched for.
import { PushpinOutlined } from '@ant-design/icons';
import { App, Button, Dropdown, Input, Modal, type MenuProps } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { problemText } from '../parts/problem';
import { usePersonal, type SavedView } from '../personal';

interface SavedViewsProps { query: string; suggested: string; onOpen: (query: string) => void }

export function SavedViews({ query, suggested, onOpen }: SavedViewsProps) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const { personal, keep } = usePersonal();
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState('');
  const { views } = personal;
  const change = (next: (views: SavedView[]) => SavedView[], said: string, done?: () => void) =>
    keep.mutate((now) => ({ ...now, views: next(now.views) }), {
      onSuccess: () => {
        void message.success(said);
        done?.();
      },
      onError: (error) => void message.error(problemText(error, t).title),
    });
  const save = () => {
    if (!name.trim()) return;
    change((now) => [...now.filter((view) => view.name !== name.trim()), { name: name.trim(), query }], t('views.saved'), () => setNaming(false));
  };
  const items: MenuProps['items'] = [
    ...views.map((view) => ({ key: `open:${view.name}`, label: view.name, onClick: () => onOpen(view.query) })),
    ...(views.length > 0 ? [{ type: 'divider' as const }] : []),
    { key: 'save', label: t('views.save'), onClick: () => { setName(suggested); setNaming(true); } },
    ...(views.length > 0
      ? [{
          key: 'remove', label: t('views.remove'),
          children: views.map((view) => ({ key: `remove:${view.name}`, label: view.name, onClick: () => change((now) => now.filter((one) => one.name !== view.name), t('views.removed')) })),
        }]
      : []),
  ];
  return (
    <>
      <Dropdown menu={{ items }} trigger={['click']}>
        <Button icon={<PushpinOutlined />} data-action="views">{t('views.title')}{views.length > 0 ? ` ${views.length}` : ''}</Button>
      </Dropdown>
      <Modal open={naming} title={t('views.save')} okText={t('views.saveDo')} okButtonProps={{ disabled: !name.trim() }} confirmLoading={keep.isPending} onOk={save} onCancel={() => setNaming(false)} destroyOnHidden>
        <label className="field">
          <span className="field-label">{t('views.name')}</span>
          <Input value={name} maxLength={20} data-field="view-name" onChange={(event) => setName(event.target.value)} onPressEnter={save} />
        </label>
        <p className="hint">{t('views.help')}</p>
      </Modal>
    </>
  );
}
