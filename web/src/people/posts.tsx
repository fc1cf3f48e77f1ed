// Posts: who works where as what. A post that ends is closed, never deleted: what was signed under it must stay readable.
import { PlusOutlined } from '@ant-design/icons';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, Form, Input, Modal, Select } from 'antd';
import { useState } from 'react';
import { humanName, useDirectory, type DirectoryPost } from '../directory';
import { create, read, update } from '../fhir';
import type { Practitioner, PractitionerRole } from '../fhir-types';
import { useTranslation } from '../i18n';
import { concept, extensionUrl } from '../names';
import { Empty } from '../parts/empty';
import { Problem, problemText } from '../parts/problem';
import { toast } from '../parts/toast';

const ROLES = ['county-doctor', 'consult-coordinator', 'expert', 'radiologist', 'duty-head', 'medical-affairs', 'commander', 'data-steward', 'administrator'];
const POST_TITLES = ['resident', 'attending', 'associate-chief', 'chief'];

interface PostFields { person?: string; newName?: string; organization: string; role: string; specialty?: string; title?: string; phone?: string }

export function Posts() {
  const { t } = useTranslation();
  const directory = useDirectory();
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const turn = useMutation({
    mutationFn: async (post: DirectoryPost) => {
      const role = await read<PractitionerRole>(`PractitionerRole/${post.id}`);
      return update<PractitionerRole>({ ...role, active: !post.active });
    },
    onSuccess: () => void client.invalidateQueries({ queryKey: ['list'] }),
    onError: (failure) => toast.error(problemText(failure, t).title),
  });
  return (
    <>
      <div className="tab-actions"><Button type="primary" icon={<PlusOutlined />} onClick={() => setAdding(true)}>{t('people.addPost')}</Button></div>
      {directory.posts.length === 0 ? <Empty title={t('people.noPosts')} /> : (
        <div className="table-scroll">
          <table className="list-table list-simple">
            <thead><tr>{['people.person', 'people.role', 'people.organization', 'consult.specialty', 'people.phone', 'column.state'].map((key) => <th key={key} scope="col">{t(key)}</th>)}<th><span className="visually-hidden">{t('column.action')}</span></th></tr></thead>
            <tbody>
              {directory.posts.map((post) => (
                <tr key={post.id}>
                  <td data-label={t('people.person')}>{post.name || '—'}</td>
                  <td data-label={t('people.role')}>{t(`role.${post.role}`, { defaultValue: post.role })}</td>
                  <td data-label={t('people.organization')}>{post.organizationName || '—'}</td>
                  <td data-label={t('consult.specialty')}>{post.specialty || '—'}<span className="cell-sub">{post.title ? t(`title.${post.title}`) : ''}</span></td>
                  <td data-label={t('people.phone')}>{post.phone || '—'}</td>
                  <td data-label={t('column.state')}><span className={`badge badge-${post.active ? 'done' : 'off'}`}>{t(post.active ? 'people.postOpen' : 'people.postClosed')}</span></td>
                  <td className="cell-action"><Button size="small" loading={turn.isPending && turn.variables?.id === post.id} onClick={() => turn.mutate(post)}>{t(post.active ? 'people.closePost' : 'people.openPost')}</Button></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <PostDialog open={adding} onClose={() => setAdding(false)} />
    </>
  );
}

function PostDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const directory = useDirectory();
  const client = useQueryClient();
  const [form] = Form.useForm<PostFields>();
  const add = useMutation({
    mutationFn: async (fields: PostFields) => {
      const person = fields.person ?? (await create<Practitioner>({ resourceType: 'Practitioner', active: true, name: [{ text: fields.newName ?? '' }] })).id;
      return create<PractitionerRole>({
        resourceType: 'PractitionerRole',
        active: true,
        practitioner: { reference: `Practitioner/${person ?? ''}` },
        organization: { reference: `Organization/${fields.organization}` },
        code: [concept('role', fields.role)],
        ...(fields.specialty ? { specialty: [{ text: fields.specialty }] } : {}),
        ...(fields.phone ? { telecom: [{ system: 'phone', value: fields.phone }] } : {}),
        ...(fields.title ? { extension: [{ url: extensionUrl('title'), valueCode: fields.title }] } : {}),
      });
    },
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['list'] });
      onClose();
    },
  });
  const required = [{ required: true, message: t('common.required') }];
  return (
    <Modal open={open} title={t('people.addPost')} okText={t('people.add')} confirmLoading={add.isPending} destroyOnHidden onOk={() => form.submit()} onCancel={onClose} afterClose={() => add.reset()}>
      <Form form={form} layout="vertical" preserve={false} requiredMark="optional" onFinish={(fields) => add.mutate(fields)}>
        <Form.Item name="person" label={t('people.knownPerson')}>
          <Select allowClear showSearch optionFilterProp="label" options={directory.practitioners.map((person) => ({ value: person.id ?? '', label: humanName(person) }))} />
        </Form.Item>
        <Form.Item noStyle shouldUpdate={(before: PostFields, after: PostFields) => before.person !== after.person}>
          {({ getFieldValue }) => (getFieldValue('person') ? null : <Form.Item name="newName" label={t('people.newPerson')} rules={required}><Input autoComplete="off" /></Form.Item>)}
        </Form.Item>
        <Form.Item name="organization" label={t('people.organization')} rules={required}>
          <Select showSearch optionFilterProp="label" options={directory.organizations.map((house) => ({ value: house.id ?? '', label: house.name }))} />
        </Form.Item>
        <Form.Item name="role" label={t('people.role')} rules={required}><Select options={ROLES.map((value) => ({ value, label: t(`role.${value}`) }))} /></Form.Item>
        <Form.Item name="specialty" label={t('consult.specialty')}><Input /></Form.Item>
        <Form.Item name="title" label={t('people.title2')}><Select allowClear options={POST_TITLES.map((value) => ({ value, label: t(`title.${value}`) }))} /></Form.Item>
        <Form.Item name="phone" label={t('people.phone')}><Input /></Form.Item>
        {add.error ? <Problem error={add.error} /> : null}
      </Form>
    </Modal>
  );
}
